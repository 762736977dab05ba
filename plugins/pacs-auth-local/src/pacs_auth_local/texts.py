"""Texts of the pages, in English and German."""

from typing import Final

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
