"""A file in an agent's settings that is wholly ours: put there, kept up to date, taken away.

Owns that a file of somebody else's under the same name is never touched.  Must not know any agent.
No I/O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agentdiff.errors import MalformedPayload
from agentdiff.install.part import Inspection, Site
from agentdiff.install.record import Found


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFile:
    """A `agentdiff.install.part.Part`: a file of ours.

    Attributes:
        locate: returns where the file of a site is.
        render: returns its content for a site.
        is_ours: tells whether a content is one that some version of `render` returned.
    """

    locate: Callable[[Site], Path]
    render: Callable[[Site], bytes]
    is_ours: Callable[[bytes], bool]
    scopes: tuple[str, ...] = ("user", "project")
    main: bool = True

    def path(self, site: Site) -> Path:
        """See `Part.path`."""
        return self.locate(site)

    def installed(self, old: bytes | None, site: Site, found: Found) -> bytes | None:
        """See `Part.installed`.

        Raises:
            MalformedPayload: somebody else's file is there.
        """
        del found
        if old is not None and not self.is_ours(old):
            path = str(self.locate(site))
            raise MalformedPayload("is there and not agentdiff's: move it away first", field=path)
        return self.render(site)

    def removed(self, old: bytes, found: Found) -> bytes | None:
        """See `Part.removed`."""
        del found
        return None if self.is_ours(old) else old

    def inspect(self, data: bytes, site: Site) -> Inspection:
        """See `Part.inspect`."""
        present = self.is_ours(data)
        return Inspection(present=present, current=present and data == self.render(site))
