"""Texts of the pages, in English and German."""

from typing import Final

from starlette.requests import HTTPConnection

ENGLISH: Final = "en"
_CHOSEN: Final = "pacs_language"
"""The cookie in which the browser UI keeps the language that was chosen."""

TEXTS: Final = {
    "en": {
        "title": "Sign in",
        "name": "Name",
        "password": "Password",
        "submit": "Sign in",
        "or": "or",
        "wrong": "Name or password is wrong.",
        "wait": "Too many failures. Try again in {seconds} s.",
        "form": "The form was too old. Try again.",
        "account": "Account",
        "signed_in": "Signed in as",
        "roles": "Roles",
        "no_roles": "none",
        "out": "Sign out",
        "everywhere": "Sign out on all devices",
        "back": "To the start page",
    },
    "de": {
        "title": "Anmelden",
        "name": "Name",
        "password": "Passwort",
        "submit": "Anmelden",
        "or": "oder",
        "wrong": "Name oder Passwort ist falsch.",
        "wait": "Zu viele Fehlversuche. Nächster Versuch in {seconds} s.",
        "form": "Das Formular war zu alt. Bitte noch einmal.",
        "account": "Konto",
        "signed_in": "Angemeldet als",
        "roles": "Rollen",
        "no_roles": "keine",
        "out": "Abmelden",
        "everywhere": "Auf allen Geräten abmelden",
        "back": "Zur Startseite",
    },
}


def choose_language(request: HTTPConnection) -> str:
    """Return the language that was chosen, or else the first that the browser names."""
    accepted = request.headers.get("accept-language", "").lower().split(",")
    wished = [
        request.query_params.get("lang", ""),
        request.cookies.get(_CHOSEN, ""),
        *(each.partition(";")[0].strip().partition("-")[0] for each in accepted),
    ]
    return next((each for each in wished if each in TEXTS), ENGLISH)
