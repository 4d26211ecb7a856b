"""The modules through which Python speaks to a database server, and the packages that bring them."""

from __future__ import annotations

import shlex

_PACKAGES = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "pymysql": "pymysql",
    "pyodbc": "pyodbc",
    "oracledb": "oracledb",
}


def missing_driver(module: str) -> str:
    """Say that a database's driver is missing, with a command that installs it."""
    package = shlex.quote(_PACKAGES.get(module, module))
    return f"the database's driver {module} is missing; pip install {package}"
