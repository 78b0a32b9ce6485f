"""Where an estimator's documentation is, for the links in its picture in a notebook."""

from importlib import metadata


def documentation(package: str = "cconv") -> str:
    """Return the address of an installed package's documentation, "" where its metadata name none.

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
    """Tells scikit-learn of the page, and not to look for it among its own."""

    _doc_link_module = "cconv"
    _doc_link_template = documentation().replace("{", "{{").replace("}", "}}")
