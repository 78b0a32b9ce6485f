"""The address of an estimator's documentation, for the link in its notebook view."""

from importlib import metadata


def documentation(package: str = "cconv") -> str:
    """Return the address of an installed package's documentation, "" if its metadata have none.

    Examples
    --------
    >>> documentation("a package that is not there")
    ''
    """
    try:
        named = metadata.metadata(package).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    pages = (entry.partition(", ") for entry in named)
    return next((page for label, _, page in pages if label.casefold() == "documentation"), "")


class Documented:
    """Tells scikit-learn the address of the documentation, which is not on its own site."""

    _doc_link_module = "cconv"
    _doc_link_template = documentation().replace("{", "{{").replace("}", "}}")
