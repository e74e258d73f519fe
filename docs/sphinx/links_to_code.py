"""Links to Python files and folders, which a forge shows as they are, lead to the API reference."""

from pathlib import Path
from posixpath import join, normpath

from docutils import nodes
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.typing import ExtensionMetadata


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the transform."""
    app.add_transform(_LinksToCode)
    return {"parallel_read_safe": True}


class _LinksToCode(SphinxTransform):
    default_priority = 500

    def apply(self, **kwargs: object) -> None:
        """Make links to modules of what MyST takes for downloads, or does not know."""
        for node in list(self.document.findall(_is_link)):
            module = self._module(node["reftarget"])
            if module:
                node.replace_self(_link_to(module, node))

    def _module(self, target: str) -> str | None:
        """Return the name of a module of lelkern, if that is what is linked to."""
        folder = str(Path(self.env.docname).parent)
        path = normpath(target.lstrip("/") if target.startswith("/") else join(folder, target))
        file = Path(self.env.srcdir, path)
        if not path.startswith("lelkern/") or not (file.suffix == ".py" or file.is_dir()):
            return None
        return path.removesuffix(".py").replace("/", ".")


def _is_link(node: nodes.Node) -> bool:
    return isinstance(node, download_reference | pending_xref) and "reftarget" in node


def _link_to(module: str, node: nodes.Element) -> pending_xref:
    link = pending_xref(
        refdomain="py", reftype="mod", reftarget=module, refexplicit=True, refwarn=True
    )
    link += node.children or [nodes.literal(module, module)]
    link.source, link.line = node.source, node.line
    return link
