"""Reading a schema file: ``schemas/<family>.toml`` becomes a :class:`.family.Family`.

Every key is checked, because a mistake in the table would be a mistake in every conversion.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from .buffers import BUFFERS
from .family import BELOW, CANONICAL, LAYER, TENSOR, Drop, Family, Row, Spelling

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


@cache
def load_family(name: str = "gpt2") -> Family:
    """Return the family of ``schemas/<name>.toml``."""
    from importlib.resources import files

    file = f"{name}.toml"
    text = files("gpt2_convert.schemas").joinpath(file).read_text(encoding="utf-8")
    return parse_family(text, file)


def parse_family(text: str, where: str) -> Family:
    """Read a schema file.

    Raises:
        ValueError: an unknown key, a name that stands twice, a shape that is no product of sizes.
    """
    import tomllib

    data = tomllib.loads(text)
    tables = {"sizes", "defaults", "configs", "aliases", "behaviour", "constants", "storage"}
    tables |= {"assumed", "fields", "null_fields", "other_fields", "loading"}
    tables |= {"spellings", "tensors", "drops", "other_models", "architectures", "heads"}
    _expect_keys(data, {"family", "ending", *tables}, where)
    sizes = data["sizes"]
    _expect_keys(sizes, {"required", "optional"}, f"{where}: sizes")
    words = {*sizes["required"], *sizes["optional"]}
    for name, config in data["configs"].items():
        optional = set(data["defaults"])
        _expect_keys(config, words - optional, f"{where}: configs.{name}", optional=optional)
    _expect_keys(data["defaults"], set(), f"{where}: defaults", optional=set(sizes["optional"]))
    _expect_keys(data["assumed"], set(), f"{where}: assumed", optional=words)
    for alias, size in data["aliases"].items():
        if size not in words:
            raise ValueError(f"{where}: aliases.{alias}: {size!r} is no size")
    for entry in data["other_models"]:
        _expect_keys(entry, {"piece", "reason"}, f"{where}: other_models")
    for table, key in (("architectures", "piece"), ("heads", "part")):
        for entry in data[table]:
            _expect_keys(entry, {key, "what"}, f"{where}: {table}")
    spellings = {
        name: _parse_spelling(name, entry, data["spellings"], f"{where}: spellings.{name}")
        for name, entry in data["spellings"].items()
    }
    columns = {name for name, entry in data["spellings"].items() if "from" not in entry}
    lists = {spelling.drops for spelling in spellings.values()}
    return Family(
        name=data["family"],
        required_sizes=tuple(sizes["required"]),
        optional_sizes=tuple(sizes["optional"]),
        defaults={
            key: _parse_product(value, words - {key}, f"{where}: defaults.{key}")
            for key, value in data["defaults"].items()
        },
        configs=data["configs"],
        aliases=data["aliases"],
        behaviour=_parse_behaviour(data["behaviour"], f"{where}: behaviour"),
        constants={
            key: _parse_constant(value, words, f"{where}: constants.{key}")
            for key, value in data["constants"].items()
        },
        assumed=data["assumed"],
        fields={**data["fields"], **dict.fromkeys(data["null_fields"])},
        known=frozenset(data["fields"]).union(
            data["null_fields"],
            data["other_fields"],
            data["behaviour"],
            data["constants"],
            data["aliases"],
            data["storage"],
            *(each.values() for each in data["configs"].values()),
        ),
        loading=frozenset(data["loading"]),
        storage=frozenset(data["storage"]),
        ending=data["ending"],
        spellings=spellings,
        rows=_parse_rows(data["tensors"], columns, data["spellings"], words, where),
        drops=tuple(_parse_drop(drop, lists, where) for drop in data["drops"]),
        other_models={entry["piece"]: entry["reason"] for entry in data["other_models"]},
        architectures={entry["piece"]: entry["what"] for entry in data["architectures"]},
        heads={entry["part"]: entry["what"] for entry in data["heads"]},
    )


def _parse_behaviour(entry: Mapping[str, Any], place: str) -> Mapping[str, str | bool | float]:
    for key, value in entry.items():
        if not isinstance(value, str | bool | float):
            raise ValueError(f"{place}.{key}: a string, true, false or a float expected")
    return entry


def _parse_constant(value: object, words: set[str], place: str) -> bool | tuple[str, ...]:
    if isinstance(value, bool):
        return value
    return _parse_product(value, words, place)


def _parse_product(value: object, words: set[str], place: str) -> tuple[str, ...]:
    (product,) = _parse_shape([str(value)], words, place)
    return product


def _parse_spelling(
    name: str, entry: Mapping[str, Any], before: Mapping[str, Any], place: str
) -> Spelling:
    derived = {"from", "replace", "suffix"} if "from" in entry else set()
    switches = {"conv1d_leading_axis", "conv1d_bias_leading_axis", "scopes", "either_of_tied"}
    _expect_keys(entry, set(), place, optional={"wrappers", "drops", *switches, *derived})
    if "from" in entry and entry["from"] not in list(before)[: list(before).index(name)]:
        raise ValueError(f"{place}: from {entry['from']!r}, which is no spelling before")
    if "wrappers" in entry and "scopes" in entry:
        raise ValueError(f"{place}: wrappers or scopes, not both: what is in front is one of them")
    return Spelling(
        **{key: entry[key] for key in switches & entry.keys()},
        wrappers=tuple(entry.get("wrappers", ())),
        suffix=entry.get("suffix", ""),
        drops=entry.get("drops", name),
    )


def _spell_all(
    entry: Mapping[str, str], columns: set[str], spellings: Mapping[str, Any]
) -> dict[str, str]:
    """Return the name of a row in each spelling: those of its columns, and what follows of them."""
    names: dict[str, str] = {}
    for spelling, rule in spellings.items():
        if spelling in columns:
            if spelling in entry:
                names[spelling] = entry[spelling]
        elif rule["from"] in names:
            name = names[rule["from"]].removesuffix(spellings[rule["from"]].get("suffix", ""))
            for old, new in rule.get("replace", {}).items():
                name = name.replace(old, new)
            names[spelling] = name + rule.get("suffix", "")
    return names


def _parse_rows(
    entries: list[dict[str, Any]],
    columns: set[str],
    spellings: Mapping[str, Any],
    words: set[str],
    where: str,
) -> tuple[Row, ...]:
    rows: list[Row] = []
    taken: set[tuple[str, str]] = set()
    for entry in entries:
        place = f"{where}: {entry.get(CANONICAL)}"
        tied = "tied_to" in entry
        required = {CANONICAL} if tied else columns
        switches = {"conv1d", "conv1d_bias"}
        _expect_keys(entry, {"shape", *required}, place, optional={"tied_to", *switches, *columns})
        names = _spell_all(entry, columns, spellings)
        for column, name in names.items():
            if (column, name) in taken:
                raise ValueError(f"{place}: {name!r} stands twice in column {column!r}")
            if name.count(LAYER) != names[CANONICAL].count(LAYER) or name.count(LAYER) > 1:
                raise ValueError(f"{place}: {name!r} must have {LAYER} as often as the name has")
            taken.add((column, name))
        if tied and (CANONICAL, entry["tied_to"]) not in taken:
            raise ValueError(f"{place}: tied to {entry['tied_to']!r}, which is in no row before")
        shape = _parse_shape(entry["shape"], words, place)
        rows.append(
            Row(
                spellings=names,
                shape=shape,
                conv1d=entry.get("conv1d", False),
                conv1d_bias=entry.get("conv1d_bias", False),
                tied_to=entry.get("tied_to"),
            )
        )
    layered = "".join("L" if row.per_layer else "-" for row in rows).strip("-")
    if not layered or "-" in layered:
        raise ValueError(f"{where}: the rows with {LAYER} must stand together")
    return tuple(rows)


def _parse_drop(entry: Mapping[str, Any], lists: set[str], where: str) -> Drop:
    place = f"{where}: drops"
    _expect_keys(entry, {"reason"}, place, optional={"values", *lists})
    names = {column: entry[column] for column in lists if column in entry}
    for name in names.values():
        plain = name.removesuffix(BELOW).replace(TENSOR, "", 1).replace(LAYER, "", 1)
        if not plain or any(mark in plain for mark in "{}*"):
            raise ValueError(
                f"{place}: {name!r}: a name, with {TENSOR} or {LAYER} in it or {BELOW} at its end"
            )
    if not names or not entry["reason"]:
        raise ValueError(f"{place}: {entry}: a name and a reason expected")
    values = entry.get("values")
    if values is not None and values not in BUFFERS:
        raise ValueError(f"{place}: {values!r} is none of {sorted(BUFFERS)}")
    return Drop(names, entry["reason"], values)


def _parse_shape(dims: list[str], words: set[str], place: str) -> tuple[tuple[str, ...], ...]:
    shape = tuple(tuple(dim.split("*")) for dim in dims)
    for word in (word for dim in shape for word in dim):
        if word not in words and not (word.isascii() and word.isdigit()):
            raise ValueError(f"{place}: {word!r} is neither a size nor a number")
    return shape


def _expect_keys(
    table: Mapping[str, Any], required: set[str], place: str, optional: set[str] | None = None
) -> None:
    missing = required - table.keys()
    unknown = table.keys() - required - (optional or set())
    if missing or unknown:
        raise ValueError(f"{place}: keys missing {sorted(missing)}, unknown {sorted(unknown)}")
