"""A first study file from a folder of tables: guesses in the open, choices left to a person."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from fusewise.data.draft_target import CHOOSE, TARGETS, as_yaml, guess_target, requirement_lines
from fusewise.data.look import Column, Table, look, names_hit, shared_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_SAMPLES = ("samples", "sample", "cohort", "patients", "stays", "subjects", "index", "labels",
            "targets", "cases", "units", "people", "participants")  # fmt: skip
_CLUSTERS = ("patient", "subject", "person", "participant", "customer", "user", "family", "unit",
             "machine", "device", "household")  # fmt: skip
_GROUPS = ("sex", "gender", "ethnicity", "race", "site", "hospital", "center", "centre", "region",
           "country", "insurance", "language")  # fmt: skip
_TIMES = ("time", "timestamp", "ts", "datetime", "date", "minute", "minutes", "hour", "hours",
          "day", "days", "second", "seconds", "charttime", "offset", "t", "when", "at")  # fmt: skip
# Of numbers in the samples table these are moments; plurals (a stay in days) are durations.
_MOMENTS = ("time", "timestamp", "ts", "datetime", "date", "charttime", "minute", "hour", "when")
_CUTOFFS = ("prediction", "cutoff", "landmark")
_KNOWN = ("available", "signed", "released", "reported", "resulted", "stored")
_VARIABLES = ("variable", "name", "item", "itemid", "parameter", "feature", "signal", "code",
              "test", "label", "channel", "sensor")  # fmt: skip
_VALUES = ("value", "valuenum", "result", "reading", "measurement", "amount", "quantity")
_PARTS = {"train", "validation", "test"}
_PATHS = (".png", ".jpg", ".jpeg", ".dcm", ".tif", ".tiff", ".nii", ".nii.gz", ".npy")
_LONG_TEXT = 40


def draft_study(folder: str | Path, *, root: str | None = None) -> str:
    """Write a first study file from a folder that holds one table per modality.

    The samples table is the one with a unique id that the other tables share; the target, the
    split, clusters and subgroups are guessed from the names and values of its columns; a modality
    with several timed rows per sample is read as events. Every guess says so in a comment, and
    what a person must decide is marked ``# choose:``: a target among several candidates, the prediction
    time where events and a time of the sample are there. Without any such mark the file runs.

    Parameters
    ----------
    folder : str or Path
        Parquet and CSV files, or folders of Parquet files.
    root : str, optional
        The way from the study file to the folder, where the file will stand elsewhere.

    Returns
    -------
    str
        The text of a study file.

    Raises
    ------
    TableNotFoundError
        The folder does not exist or holds no table.
    """
    folder = Path(folder)
    tables, unread = look(folder)
    key = _shared_column(tables)
    samples = _samples_table(tables, key)
    others = [table for table in tables if table is not samples]
    logs = [t for t in others if _is_request_log(t)]
    modalities = _modality_lines([t for t in others if t not in logs], samples, key)
    timed = any("kind: events" in line for line in modalities)
    head, target = _samples_section(samples, key, timed=timed)
    lines = [
        f"# A first study file for {folder.resolve().name}, guessed from its tables.",
        f"# Lines with `{CHOOSE}` need a decision; docs/study-file.md explains every key.",
        *[f"# Not read: {text}" for text in unread],
        f"study: {as_yaml(folder.resolve().name)}",
        *([] if root is None else [f"root: {as_yaml(root)}"]),
        "",
        *head,
        "",
        "modalities:",
        *modalities,
        "",
        *_deployment_section(logs),
        "",
        "# requirements:                 # what must hold; the exit code of `run` says whether it does",
        *requirement_lines(target),
        "",
        "training: {strategy: auto, masking: auto, seed: 0}",
    ]
    return "\n".join(lines) + "\n"


def draft_choices(text: str) -> list[tuple[int, str]]:
    """Return the lines of a drafted study file that a person must decide, with their numbers."""
    return [
        (number, line.strip())
        for number, line in enumerate(text.splitlines(), start=1)
        if CHOOSE in line and not line.startswith("#")
    ]


def _shared_column(tables: Sequence[Table]) -> str | None:
    """The id: a column of most tables, unique in at least one of them."""
    keys = [
        t.columns[c] for t in tables for c in t.columns if t.columns[c].kind in ("whole", "text")
    ]
    found = Counter(column.name for column in keys)
    unique = {c for t in tables for c in t.columns if found[c] and t.is_unique(c)}
    ranked = sorted(
        (name for name in found if name in unique),
        key=lambda name: (-found[name], not name.lower().endswith("id"), name),
    )
    return ranked[0] if ranked else None


def _samples_table(tables: Sequence[Table], key: str | None) -> Table:
    def rank(table: Table) -> tuple[bool, bool, bool, int]:
        named = names_hit(table.name, _SAMPLES)
        keyed = key is not None and key in table.columns and table.is_unique(key)
        target = any(names_hit(c, TARGETS) for c in table.columns)
        return keyed, named, target, table.rows

    return max(tables, key=rank)


def _is_request_log(table: Table) -> bool:
    return names_hit(table.name, ("requests", "request", "log", "deployment")) and any(
        c == "modality" or table.columns[c].kind == "boolean" for c in table.columns
    )


def _samples_section(
    table: Table, key: str | None, *, timed: bool
) -> tuple[list[str], Column | None]:
    """Return the lines of the section and the column that was taken for the target."""
    columns = [c for c in table.columns.values() if c.name != key]
    splits = [c for c in columns if _is_split(c)]
    clusters = [c for c in columns if _is_cluster(c, table)]
    times = [c for c in columns if c.kind == "time" or names_hit(c.name, _CUTOFFS)]
    flags = [c for c in columns if c.name.startswith("has_")]
    left = [c for c in columns if c not in [*splits, *clusters, *times, *flags]]
    groups = [c for c in left if _is_group(c)]
    lines = ["samples:", f"  table: {as_yaml(table.path)}"]
    if key is None:
        lines.append(f"  id: null  {CHOOSE} the column that identifies a sample in every table")
    else:
        lines.append(f"  id: {as_yaml(key)}")
    said, target = guess_target([c for c in left if c not in groups], table.rows)
    lines += said
    if clusters:
        lines.append(f"  cluster: {as_yaml(clusters[0].name)}  # never on both sides of a split")
    if groups:
        names = ", ".join(as_yaml(c.name) for c in groups)
        lines.append(f"  groups: [{names}]  # for bias checks; these are no features")
    cutoffs = [c.name for c in times if names_hit(c.name, _CUTOFFS)]
    if cutoffs:
        lines.append(f"  prediction_time: {as_yaml(cutoffs[0])}  # later rows are not used")
    else:
        moments = [c.name for c in columns if _is_moment(c) and c is not target]
        mark = CHOOSE if timed and moments else "#"
        hint = f"; perhaps {' or '.join(moments[:3])}" if moments else ""
        lines.append(
            f"  prediction_time: null  {mark} a column or a constant, to ignore later rows{hint}"
        )
    if splits:
        rest = ", ".join(c.name for c in splits[1:])
        lines.append(
            f"  split: {as_yaml(splits[0].name)}{f'  # also there: {rest}' if rest else ''}"
        )
    else:
        lines.append(f"  split: {{by: {'cluster' if clusters else 'random'}, test: 0.2}}")
    return lines, target


def _modality_lines(tables: Sequence[Table], samples: Table, key: str | None) -> list[str]:
    lines, used = [], 0
    for table in tables:
        line = _modality(table, samples, key)
        used += not line.lstrip().startswith("#")
        lines.append(line)
    if not used:
        lines.append(f"  {{}}  {CHOOSE} no table beside {samples.path} looks like a modality")
    return lines


def _modality(table: Table, samples: Table, key: str | None) -> str:
    name = table.name.replace("+", "_")
    declared = {"table": as_yaml(table.path)}
    own = key
    if key is None or key not in table.columns:
        own = _foreign_key(table, samples, key)
        if own is None:
            return f"  # {name}: {table.path} has no column with the ids of the samples"
        declared["id"] = as_yaml(own)
    assert own is not None
    features = [c for c in table.columns.values() if c.name != own]
    planned = _planned(features)
    if planned:
        return f"  # {name}: {table.path} looks like {planned}, which is planned but not there yet"
    if not table.is_unique(own):
        times = [c for c in features if _is_time(c)]
        if not times:
            return (
                f"  # {name}: {{table: {declared['table']}}}  {CHOOSE} it repeats {own} and has no "
                "time column; keep one row per sample, or name its time"
            )
        declared |= {"kind": "events", "time": as_yaml(times[0].name)}
        rest = [c for c in features if c not in times]
        variable = _best(rest, _VARIABLES, ("text", "whole"))
        value = _best([c for c in rest if c.name != variable], _VALUES, ("number", "whole"))
        if variable is not None and value is not None:
            declared |= {"variable": as_yaml(variable), "value": as_yaml(value)}
    known = [c.name for c in features if _is_time(c) and names_hit(c.name, _KNOWN)]
    if known and declared.get("time") != as_yaml(known[0]):
        declared["available_at"] = as_yaml(known[0])
    flag = samples.columns.get(f"has_{name}")
    if flag is not None and (flag.kind == "boolean" or set(flag.levels or ()) <= {0, 1}):
        declared["present"] = as_yaml(flag.name)
    inside = ", ".join(f"{k}: {v}" for k, v in declared.items())
    return f"  {as_yaml(name)}: {{{inside}}}"


def _planned(features: Iterable[Column]) -> str | None:
    for column in features:
        texts = [str(level).lower() for level in column.levels or ()]
        if texts and all(text.endswith(_PATHS) for text in texts):
            return "images (kind: image)"
        if column.kind == "text" and column.width > _LONG_TEXT:
            return "free text (kind: text)"
    return None


def _foreign_key(table: Table, samples: Table, key: str | None) -> str | None:
    """A column of another name whose values are ids of the samples."""
    if key is None or key not in samples.columns:
        return None
    for column in table.columns.values():
        named = column.name.lower().endswith("id")
        alike = named and column.kind == samples.columns[key].kind and column.distinct > 1
        if alike and shared_keys(table, column.name, samples, key) >= 0.9:
            return column.name
    return None


def _best(columns: Iterable[Column], words: Sequence[str], kinds: Sequence[str]) -> str | None:
    hits = (c.name for c in columns if c.kind in kinds and names_hit(c.name, words))
    return next(hits, None)


def _deployment_section(logs: Sequence[Table]) -> list[str]:
    if logs:
        source = [f"  observed: {as_yaml(logs[0].path)}  # read as a log of requests"]
    else:
        source = [
            "  # Availability is unknown until it is observed or declared; late fusion is then the",
            "  # safe choice. One of:",
            "  # observed: requests.parquet    # a log, one row per past request and modality",
            "  # observed: training            # says that the deployment looks like these tables",
            "  # rates: {NAME: 0.9}            # probability that each modality is there",
        ]
    return [
        "deployment:",
        *source,
        "  cohort: open                  # open | controlled",
        "  synchronised: false           # do the modalities arrive together",
        "  timing: unknown               # yes | no | unknown: does timing carry signal",
        "  interaction: unknown          # yes | no | unknown: does signal lie across modalities",
        "  interpretability: preferred   # required | preferred | none",
    ]


def _is_split(column: Column) -> bool:
    levels = set(column.levels or ())
    return {"train", "test"} <= levels <= _PARTS


def _is_cluster(column: Column, table: Table) -> bool:
    return (
        column.kind in ("whole", "text")
        and column.name.lower().endswith("id")
        and names_hit(column.name, _CLUSTERS)
        and 2 <= column.distinct < table.rows
    )


def _is_group(column: Column) -> bool:
    last = column.name.lower().replace("-", "_").split("_")[-1]
    return last in _GROUPS and 2 <= column.distinct <= 10


def _is_moment(column: Column) -> bool:
    return column.kind == "time" or (column.is_number and names_hit(column.name, _MOMENTS))


def _is_time(column: Column) -> bool:
    return column.kind == "time" or (column.is_number and names_hit(column.name, _TIMES))
