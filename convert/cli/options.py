"""Arguments and options that several commands share; each names its group of the help."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .help import Group, Table, add_options, list_values, option
from .output_options import output_options, sums_option
from .paths import PathType

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Final, TypeVar

    Command = TypeVar("Command", bound=Callable[..., Any])

DTYPES: Final = ("float32", "float16", "bfloat16", "float64")
ENGINES: Final = ("native", "tensorflow")
TENSORFLOW_SOURCES: Final = (
    ("a folder with a TensorFlow checkpoint", "models/124M"),
    ("its prefix", "models/124M/model.ckpt"),
    ("its .index or a .data-00000-of-00001", "models/124M/model.ckpt.index"),
    ("its 'checkpoint' file", "models/124M/checkpoint"),
)
HUGGING_FACE_SOURCES: Final = (
    ("a Hugging Face model folder", "gpt2/"),
    ("a safetensors file or a shards' index", "model.safetensors.index.json"),
)
SOURCES: Final = (
    *TENSORFLOW_SOURCES,
    *HUGGING_FACE_SOURCES,
    ("a PyTorch file or a shards' index", "pytorch_model.bin"),
    ("a NumPy archive", "out.npz"),
    ("an HDF5 file", "out.h5"),
)
"""What a source may be, and an example of each."""
SOURCE_TABLE: Final = Table("SOURCE may be", SOURCES)
EITHER_TABLE: Final = Table("SOURCE and TARGET may be", SOURCES)


def path_argument(name: str, what: str = "source") -> Callable[[Command], Command]:
    """Return an argument that is a path; ``what`` is as in :class:`.PathType`."""
    return click.argument(name, type=PathType(what))


def common_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options that every command has that reads a checkpoint of any format."""
    return add_options(
        output_options(command), step_option, *_source_options(), engine_option(Group.SOURCE)
    )


def step_option(command: Command) -> Command:
    """Add the option that chooses among TensorFlow checkpoints."""
    return option(
        "--step",
        type=click.IntRange(0),
        metavar="N",
        group=Group.SOURCE,
        help="Where SOURCE is a folder of several checkpoints: the one of step N.",
    )(command)


def engine_option(group: Group, what: str = "SOURCE") -> Callable[[Command], Command]:
    """Return the option that names who reads ``what`` of a TensorFlow checkpoint."""
    return option(
        "--engine",
        type=click.Choice(ENGINES),
        metavar="NAME",
        group=group,
        help=f"Who reads {what}: {list_values(ENGINES)}. By default TensorFlow reads only what the "
        "native reader declines.",
    )


def _source_options() -> tuple[Callable[[Command], Command], ...]:
    return (
        option(
            "--scope",
            metavar="NAME",
            group=Group.SOURCE,
            help="Where SOURCE holds several models: the one in this scope, such as 'policy'; '.' "
            "is the one in none.",
        ),
        option(
            "--drop",
            multiple=True,
            metavar="PATTERN",
            group=Group.SOURCE,
            help="Leave out tensors that GPT-2 does not know, such as 'score.*'. May be repeated.",
        ),
    )


def as_is_option(command: Command) -> Command:
    """Add the option that takes a checkpoint of any model."""
    return option(
        "--as-is",
        is_flag=True,
        group=Group.SOURCE,
        help="Take a checkpoint of any model: every tensor of numbers under its own name, but for "
        "those that --drop names, and no configuration or tokenizer.",
    )(command)


def weights_option(group: Group) -> Callable[[Command], Command]:
    """Return the option that leaves the files beside the weights out of account."""
    return option(
        "--weights-only",
        is_flag=True,
        group=group,
        idle_with=("as_is", "logits"),
        help="Leave out the files beside the weights, such as the tokenizer's.",
    )


def heads_option(command: Command) -> Command:
    """Add the option that states what shows in no tensor."""
    return option(
        "--n-head",
        type=click.IntRange(1),
        metavar="N",
        group=Group.SOURCE,
        help="The number of heads, where SOURCE does not state it.",
    )(command)


def cast_options(command: Command) -> Command:
    """Add the options that cast the source's weights."""
    return add_options(
        command,
        option(
            "--dtype",
            type=click.Choice(DTYPES),
            metavar="TYPE",
            group=Group.CAST,
            help=f"Cast the weights to {list_values(DTYPES)}, rounding to the nearest. By default "
            "they stay as they are.",
        ),
        option(
            "--allow-overflow",
            is_flag=True,
            group=Group.CAST,
            needs=("dtype",),
            idle_with=("dtype=float64",),
            help="Let numbers that are too large for --dtype become infinite.",
        ),
    )


def conversion_options(
    command: Callable[..., int],
    *,
    of_tensorflow: bool,
    into_folder: bool,
    into_file: bool,
    compress: bool,
) -> Callable[..., int]:
    """Add the options of a conversion.

    ``of_tensorflow`` says that it reads TensorFlow checkpoints, ``into_folder`` and ``into_file``
    what it may write, and ``compress`` that this may be compressed.
    """
    options = [*([step_option] if of_tensorflow else []), *_source_options(), heads_option]
    if into_file:
        options.append(as_is_option)
    options.append(cast_options)
    if compress:
        options.append(
            option(
                "--compress",
                type=click.Choice(["gzip"]),
                group=Group.TARGET,
                help="Compress the weights" + (" (HDF5 only)." if into_folder else "."),
            )
        )
    if into_folder:
        options.append(weights_option(Group.TARGET))
    return add_options(
        output_options(command),
        *options,
        option(
            "-f",
            "--force",
            is_flag=True,
            group=Group.TARGET,
            help="Replace TARGET if it exists.",
        ),
        option(
            "--no-verify",
            is_flag=True,
            group=Group.PROOF,
            help="Do not compare TARGET with SOURCE.",
        ),
        *([engine_option(Group.PROOF, "SOURCE again, as a witness")] if of_tensorflow else []),
        sums_option,
        option(
            "--digest",
            is_flag=True,
            group=Group.REPORTS,
            idle_with=("quiet",),
            unless=("as_json", "report"),
            help="Report the SHA-256 of the contents too.",
        ),
    )
