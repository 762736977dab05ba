"""Build of the extension: optional, so that what has no compiler is installed without it."""

import os
import sys
import sysconfig

from setuptools import Extension, setup

# Free-threaded builds of Python have no limited API.
LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")
HARDENED = [
    "-O2",
    "-g0",  # what debuggers read names the folder of the build
    "-fstack-protector-strong",
    "-fno-strict-overflow",
    "-Wall",
    "-Wextra",
    "-Wno-missing-field-initializers",
]


def extension(name: str) -> Extension:
    """Return a module in C."""
    return Extension(
        f"pacs_speedups.{name}",
        [f"src/pacs_speedups/{name}.c"],
        depends=["src/pacs_speedups/_forms.h"],
        define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
        # Before glibc's headers, which define it otherwise where a distribution does.
        undef_macros=["_FORTIFY_SOURCE"] if os.name == "posix" else [],
        extra_compile_args=[*HARDENED, "-D_FORTIFY_SOURCE=2"] if os.name == "posix" else [],
        extra_link_args=["-Wl,-z,relro,-z,now"] if sys.platform == "linux" else [],
        py_limited_api=LIMITED,
        optional=True,
    )


setup(
    ext_modules=[extension("_header_walk"), extension("_plain_elements")],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
