"""Configuration: nothing has to be set, and the environment can set everything."""

import os

from flask import Flask


def configure(app: Flask) -> None:
    """Take FLASK_NAME from the environment as NAME, for every NAME that Flask or this site has.

    Raises ValueError where a value cannot be meant.
    """
    app.config.from_mapping(
        HTTPS_ONLY="DYNO" in os.environ,  # the platform's router is in front, and ends TLS
        SECURITY_CONTACT=None,
    )
    app.config.from_prefixed_env()

    hosts = app.config["TRUSTED_HOSTS"]
    if isinstance(hosts, str):
        app.config["TRUSTED_HOSTS"] = hosts = [host.strip() for host in hosts.split(",")]
    if hosts is not None and not (isinstance(hosts, list) and hosts and all(hosts)):
        raise ValueError("FLASK_TRUSTED_HOSTS takes host names with commas between them")

    contact = app.config["SECURITY_CONTACT"]
    if contact is not None and not str(contact).startswith(("mailto:", "https://", "tel:")):
        raise ValueError("FLASK_SECURITY_CONTACT takes a mailto:, https: or tel: address")
