"""Names in single backticks, as docstrings have them: links where a name is public, code where it is not."""

from docutils import nodes
from sphinx import addnodes

from _site import reference


def public():
    """Return the full names of all that the reference describes, by full name and by last name."""
    found = {}
    for page in reference.collect():
        for name in page.described:
            path = reference.full(page.module, name)
            found[path] = [path]
            found.setdefault(name, []).append(path)
        for name, path in page.elsewhere.items():
            found[reference.full(page.module, name)] = [path]
    return found


def role_of(known):
    """Return the role, for names that are known."""

    def role(name, rawtext, text, lineno, inliner, options=None, content=None):
        code = nodes.literal(rawtext, text, classes=["xref", "py"])
        paths = known.get(text, [])
        here = inliner.document.settings.env.ref_context.get("py:module") or ""
        near = [path for path in paths if here and path == f"{here}.{text}"] or paths
        if len(near) != 1:
            return [code], []
        link = addnodes.pending_xref(
            "", code, refdomain="py", reftype="obj", reftarget=near[0], refexplicit=True, refwarn=True
        )
        link["refdoc"] = inliner.document.settings.env.docname
        return [link], []

    return role


def setup(app):
    """Make it the role of what stands in single backticks."""
    app.add_role("name", role_of(public()))
    app.config.default_role = "name"
