"""Optical density and grey of a film that is seen as a picture (PS3.14).

Theory of operation
-------------------
A film of density D on a light box of luminance L0, with reflected ambient light La, has the
luminance La + L0 * 10^-D. The Grayscale Standard Display Function gives the index of a just
noticeable difference (JND) to each luminance. What is linear in P-Values is linear in these
(PS3.14 §7).

The picture of a film is in P-Values: 0 is the highest density that the printer has, 255 the lowest.
So whoever looks at it on a display that follows the same function sees what the film would show.
"""

import math
from typing import Final

# PS3.14 §7, the inverse of the function: coefficients of powers of the common logarithm.
_INVERSE: Final = (
    71.498068, 94.593053, 41.912053, 9.8247004, 0.28175407,
    -1.1878455, -0.18014349, 0.14710899, -0.017046845,
)  # fmt: skip
_RANGE: Final = (0.05, 3993.404)
"""Luminance for which the function is defined, in candela per square metre."""


def jnd_index(luminance: float) -> float:
    """Return the JND index of a luminance."""
    x = math.log10(min(max(luminance, _RANGE[0]), _RANGE[1]))
    return math.fsum(coefficient * x**n for n, coefficient in enumerate(_INVERSE))


class GreyScale:
    """Density to grey, for a printer and for how its film is looked at.

    Parameters
    ----------
    darkest, lightest : int
        Highest and lowest density of the printer, in hundredths.
    illumination, ambient : int
        Illumination (2010,015E) and Reflected Ambient Light (2010,0160), in cd/m².
    """

    def __init__(self, darkest: int, lightest: int, illumination: int, ambient: int) -> None:
        self._illumination, self._ambient = illumination, ambient
        self._black, self._white = self._index(darkest), self._index(lightest)

    def grey(self, density: float) -> float:
        """Return the P-Value of a density in hundredths, from 0.0 to 1.0."""
        span = self._white - self._black
        if span <= 0:
            return 0.0
        return min(max((self._index(density) - self._black) / span, 0.0), 1.0)

    def _index(self, density: float) -> float:
        return jnd_index(self._ambient + self._illumination * 10.0 ** (-density / 100.0))
