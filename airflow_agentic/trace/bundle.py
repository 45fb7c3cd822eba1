"""
What is in an audit bundle: the records of a run as they are, and what is made of them for people and for programs.

Everything that is made can be made again from the records, from what Airflow knew, and from the artifacts; so who has
the bundle can see that the page says what the records say. ::

    README.txt               what this is, and how to check it by hand
    trace.html, trace.json   the assembled trace
    template.yaml            the template
    artifacts/…              what the run wrote, where it was still there
    records/…                all files of the run, byte by byte, with the manifests that seal them
    airflow.json             what Airflow knew of the run; not there if it wasn't asked
    ro-crate-metadata.json   all of this for programs, see https://www.researchobject.org/ro-crate/
    bundle.json              which run this is, and what made the bundle
    SHA256SUMS               the digests of all other files
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_agentic.trace import layout
from airflow_agentic.trace.assemble import trace_of
from airflow_agentic.trace.document import to_data
from airflow_agentic.trace.drawn_by import DrawnBy, this_program
from airflow_agentic.trace.findings import last_artifacts
from airflow_agentic.trace.material import material_of
from airflow_agentic.trace.run_files import AsStore
from airflow_agentic.trace.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_agentic.trace.airflow import RunFacts
    from airflow_agentic.trace.document import Trace
    from airflow_agentic.trace.record import ArtifactRecord
    from airflow_agentic.trace.run_files import RunFiles
    from airflow_agentic.trace.verify import Verdict

BUNDLE_FORMAT = 1

RECORDS = "records/"
README, SUMS, ABOUT, FACTS = "README.txt", "SHA256SUMS", "bundle.json", "airflow.json"
PAGE, TRACE, TEMPLATE, CRATE = "trace.html", "trace.json", "template.yaml", "ro-crate-metadata.json"

#: What is made; airflow.json and template.yaml only where they are known.
MADE = (README, ABOUT, FACTS, PAGE, TRACE, TEMPLATE, CRATE)
#: Of these, what another state of the program may make in another way.
DRAWN = (README, ABOUT, FACTS, PAGE, TRACE, CRATE)

_KEPT = " ()+,=@._-"
#: Bytes of an artifact's name in a bundle; its end says what it is.
_LONGEST = 150


@dataclass(frozen=True, kw_only=True)
class Contents:
    """
    What a bundle is made from.

    :param files: of the run.
    :param facts: what Airflow knew; null if it wasn't asked.
    :param artifacts: by their names in the bundle, those that are there and as their records say.
    :param read_artifact: gives the content of one of these by its name; raises OSError.
    :param drawn_by: what the bundle says that made it.
    """

    dag_id: str
    run_id: str
    files: RunFiles
    facts: RunFacts | None
    artifacts: Mapping[str, ArtifactRecord]
    read_artifact: Callable[[str], bytes]
    drawn_by: DrawnBy = field(default_factory=this_program)

    @cached_property
    def trace(self) -> Trace:
        """The assembled trace. Like everything that is made, it depends on nothing but what is in the bundle."""
        store: Any = AsStore(self.files)
        material = material_of(store, self.dag_id, self.run_id)
        return trace_of(self.dag_id, self.run_id, Source(material, self.facts, self._content))

    def _content(self, record: ArtifactRecord) -> bytes:
        for name, known in self.artifacts.items():
            if (known.uri, known.sha256) == (record.uri, record.sha256):
                return self.read_artifact(name)
        raise FileNotFoundError("it isn't in the bundle")


def wanted_artifacts(files: RunFiles) -> dict[str, ArtifactRecord]:
    """The artifacts that belong into a bundle, by their names in it."""
    return {artifact_name(path, record): record for path, record in last_artifacts(files, files.sizes)}


def artifact_name(path: str, record: ArtifactRecord) -> str:
    """
    The name of an artifact in a bundle: harmless, readable, and no other's.

    :param path: of its record.
    """
    last = record.uri.rpartition("/")[2] or "artifact"
    return f"artifacts/{layout.segment(layout.stem_of(path))}/{_harmless(last)}"


def _harmless(name: str) -> str:
    """A name as people know it, in which letters and digits of any language stay, and what might be more is quoted."""
    if not name.strip("."):
        return name.replace(".", "%2E")
    kept = "".join(char if char.isalnum() or char in _KEPT else quote(char, errors="replace") for char in name)
    return kept.encode()[-_LONGEST:].decode("utf-8", "ignore")


def made(contents: Contents, verdict: Verdict) -> dict[str, bytes]:
    """
    Everything in a bundle that is made, but the digests.

    :param verdict: of its records.
    """
    from airflow_agentic.trace.bundle_text import readme
    from airflow_agentic.trace.crate import crate
    from airflow_agentic.view.page import trace_page

    trace = contents.trace
    found = {
        ABOUT: to_json(about(contents.dag_id, contents.run_id, contents.drawn_by)),
        TRACE: to_json(to_data(trace)),
        PAGE: to_text(trace_page(trace)),
        README: to_text(readme(trace, verdict, contents.artifacts)),
    }
    if contents.facts is not None:
        found[FACTS] = to_json(contents.facts.to_data())
    if trace.template is not None:
        found[TEMPLATE] = to_text(trace.template)
    sizes = {
        **{name: len(content) for name, content in found.items()},
        **{name: record.bytes for name, record in contents.artifacts.items()},
        **{f"{RECORDS}{path}": size for path, size in contents.files.sizes.items() if size >= 0},
    }
    found[CRATE] = to_json(crate(trace, sizes, contents.artifacts))
    return found


def about(dag_id: str, run_id: str, drawn_by: DrawnBy) -> dict[str, Any]:
    """Which run a bundle is of, and what made it."""
    told = {"format": BUNDLE_FORMAT, "kind": "audit bundle", "dag_id": dag_id, "run_id": run_id}
    return {**told, **asdict(drawn_by)}


def sums(digests: Mapping[str, str]) -> bytes:
    """The digests of a bundle's files, as ``sha256sum`` prints and checks them."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests)).encode("utf-8", "surrogatepass")


def to_json(data: Any) -> bytes:
    """JSON that people can read, too."""
    return to_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def to_text(text: str) -> bytes:
    """A text as a file has it; what agents wrote may hold half a character."""
    return text.encode("utf-8", "surrogatepass")
