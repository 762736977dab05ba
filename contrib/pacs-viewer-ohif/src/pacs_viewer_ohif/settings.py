"""The script that tells OHIF where it is served, and where the images are."""

import json
from collections.abc import Mapping
from typing import Any

_SCRIPT = """\
window.PUBLIC_URL = {public};
window.browserImportFunction = function (name) {{ return import(name); }};
window.config = {config};
"""


def settings_script(public: str, dicomweb: str, own: Mapping[str, Any]) -> str:
    """Return what the page loads before OHIF.

    Parameters
    ----------
    public : str
        Path of the viewer, as the browser sees it, with a slash at its end.
    dicomweb : str
        URL of the DICOMweb root, without a slash.
    own : mapping
        The site's own settings, which count.
    """
    config = {**_config(public, dicomweb), **own}
    # "</script>" in a value would matter within a page only; this is a file of its own.
    return _SCRIPT.format(public=json.dumps(public), config=json.dumps(config, indent=2))


def _config(public: str, dicomweb: str) -> dict[str, Any]:
    source = {
        "friendlyName": "This archive",
        "name": "pacs",
        "qidoRoot": dicomweb,
        "wadoRoot": dicomweb,
        "wadoUriRoot": dicomweb,
        "qidoSupportsIncludeField": True,
        "supportsFuzzyMatching": True,
        "supportsWildcard": True,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "enableStudyLazyLoad": True,
        "staticWado": False,
        "singlepart": "bulkdata,video,pdf",
        "bulkDataURI": {"enabled": True, "relativeResolution": "studies"},
        "omitQuotationForMultipartRequest": False,
    }
    return {
        "routerBasename": public.rstrip("/") or "/",
        "extensions": [],
        "modes": [],
        "showStudyList": True,
        "maxNumberOfWebWorkers": 3,
        "showWarningMessageForCrossOrigin": False,
        "showCPUFallbackMessage": True,
        "showLoadingIndicator": True,
        "strictZSpacingForVolumeViewport": True,
        "groupEnabledModesFirst": True,
        "investigationalUseDialog": {"option": "never"},
        "maxNumRequests": {"interaction": 100, "thumbnail": 5, "prefetch": 10},
        "showErrorDetails": "always",
        "defaultDataSourceName": "pacs",
        "dataSources": [
            {
                "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
                "sourceName": "pacs",
                "configuration": source,
            }
        ],
    }
