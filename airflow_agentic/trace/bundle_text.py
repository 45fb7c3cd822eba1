"""The plain text in an audit bundle that says what it is and how to check it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_agentic.trace.document import Trace
    from airflow_agentic.trace.verify import Verdict

_TEXT = """\
AUDIT BUNDLE

This archive holds everything that was recorded of one run of a workflow in which software agents (language models and
programs) worked together. It can be read and checked without the system that ran it.

  workflow   {dag_id}
  run        {run_id}
  ended      {state}
  from, to   {started}, {ended}
  sealed     {sealed}
  seal       {seal}

WHAT IS IN IT

  trace.html               start here: what happened, why, and where each sentence is from. Any browser shows it.
  trace.json               the same for programs
  template.yaml            the workflow as it was
  artifacts/               what the run wrote: {artifacts}
  records/                 the records themselves, as they were written while the run went on, byte by byte
  records/manifest.N.json  written when the run ended: the digest of every record. It seals the run.
  airflow.json             what the scheduler (Apache Airflow) knew of the run, if it was asked
  ro-crate-metadata.json   a description of all this for programs (RO-Crate, Workflow Run Crate)
  SHA256SUMS               the digests of all other files

HOW TO CHECK IT

With the program:  airflow-agentic verify THIS_FILE.zip --seal SEAL

By hand, with sha256sum and jq (which reads JSON), in the folder that it was unpacked to. Every step is needed: whoever
altered a file may have altered SHA256SUMS with it.
  1. Was a file damaged on its way? No output: no.
     $ sha256sum --check --quiet --strict SHA256SUMS
  2. Is this the run's seal? Compare the number with the one that was kept elsewhere: in the log of the run's last task
     ("The run's seal ..."), or wherever your organisation keeps seals. The one in this file proves nothing.
     $ sha256sum records/manifest.{last}.json
  3. Are the records as they were sealed? No output: yes.
     $ cd records
     $ jq -r '.records[] | .sha256 + "  " + .path' manifest.{last}.json | sha256sum --check --quiet --strict
  4. Was a record added? The output is manifest.{last}.json and manifest.{last}.sha256, which can't name themselves;
     whatever else is there was added.
     $ (jq -r '.records[].path' manifest.{last}.json; find . -type f | cut -c 3-) | sort | uniq -u
     $ cd ..
  5. Are the artifacts what the run wrote? Each has its digest in its record. No output: yes. (Where there is no folder
     artifacts/, it complains.)
     $ find artifacts -type f | while IFS= read -r file; do
     $   record=records/$(dirname "$file").json
     $   echo "$(jq -r .sha256 "$record")  $file"
     $ done | sha256sum --check --quiet --strict
     A file in records/artifacts/ without such an artifact: see the state below; or somebody removed it.
Without jq: manifest and records are texts, in which "sha256" stands beside each "path".

No step by hand tells whether trace.html, trace.json, template.yaml, this text and ro-crate-metadata.json say what the
records say: only the program does, which makes them again. If you can't trust this archive's way to you, read the
records and artifacts instead (the template's text is in records/template/), or have the program draw the page anew:
airflow-agentic verify THIS_FILE.zip --html page.html

What this proves: no record was changed, removed or added after the run was sealed, if the seal is the one that was
kept elsewhere. What it doesn't prove: that the system wrote the truth while the run went on; and airflow.json is as
Airflow told it when this archive was made, which is later.

STATE OF THE RECORDS WHEN THIS ARCHIVE WAS MADE

{found}
{artifacts_told}
"""


def readme(trace: Trace, verdict: Verdict, artifacts: Iterable[str]) -> str:
    """
    The text.

    :param verdict: of the records.
    :param artifacts: the names of those that are in the bundle.
    """
    told = [finding.words for finding in verdict.findings]
    if verdict.state == "unsealed":
        told = ["The run is not sealed: its last task never ended, so there is no manifest to compare with."]
    last = trace.sealed["try_number"] if trace.sealed else "N"
    return _TEXT.format(
        dag_id=trace.dag_id,
        run_id=trace.run_id,
        state=trace.state,
        started=trace.started or "?",
        ended=trace.ended or "?",
        sealed=verdict.sealed or "no",
        seal=verdict.seal or "none",
        last=last,
        artifacts=", ".join(name.removeprefix("artifacts/") for name in sorted(artifacts)) or "nothing",
        found="\n".join(f"- {line}" for line in told) or "All records are as they were sealed.",
        artifacts_told="\n".join(f"- {each.problem}" for each in trace.artifacts if each.problem)
        or "All artifacts are as they were written.",
    )
