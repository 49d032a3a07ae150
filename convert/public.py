"""Every public name, imported from where it is defined: the one list of them.

The package reads this list when a name is first asked for, and imports that one alone;
type checkers read them as they stand. ``x as x`` is what they take for public (PEP 484).
"""

from __future__ import annotations

from .api.convert import convert as convert
from .api.digest import digest as digest
from .api.encoder import load_encoder as load_encoder
from .api.fetch import fetch as fetch
from .api.inspect import inspect as inspect
from .api.load import load as load
from .api.open import open as open  # noqa: A004 - gpt2_convert.open, as gzip.open
from .api.picogpt import load_encoder_hparams_and_params as load_encoder_hparams_and_params
from .api.picogpt import load_gpt2_params_from_tf_ckpt as load_gpt2_params_from_tf_ckpt
from .api.picogpt import shape_tree as shape_tree
from .api.verify import verify as verify
from .checkpoint.canonical import Checkpoint as Checkpoint
from .checkpoint.collection import Dropped as Dropped
from .checkpoint.collection import TensorCollection as TensorCollection
from .checkpoint.hparams import HParams as HParams
from .checkpoint.params import AttentionParams as AttentionParams
from .checkpoint.params import BlockParams as BlockParams
from .checkpoint.params import LayerNormParams as LayerNormParams
from .checkpoint.params import LinearParams as LinearParams
from .checkpoint.params import MLPParams as MLPParams
from .checkpoint.params import ModelParams as ModelParams
from .checkpoint.raw import FileInfo as FileInfo
from .errors import CastError as CastError
from .errors import ChecksumError as ChecksumError
from .errors import ComputationError as ComputationError
from .errors import FetchError as FetchError
from .errors import FormatError as FormatError
from .errors import Gpt2ConvertError as Gpt2ConvertError
from .errors import SchemaError as SchemaError
from .errors import SourceNotFoundError as SourceNotFoundError
from .errors import TargetError as TargetError
from .errors import TargetExistsError as TargetExistsError
from .errors import UnreadableError as UnreadableError
from .errors import UnsupportedError as UnsupportedError
from .errors import UsageError as UsageError
from .inference.agreement import Agreement as Agreement
from .inference.model import Model as Model
from .progress import Progress as Progress
from .reports.conversion import ConversionReport as ConversionReport
from .reports.digest import DigestReport as DigestReport
from .reports.digest import TensorDigest as TensorDigest
from .reports.fetch import FetchedFile as FetchedFile
from .reports.fetch import FetchReport as FetchReport
from .reports.fetch import Proof as Proof
from .reports.findings import Finding as Finding
from .reports.findings import Kind as Kind
from .reports.inspection import InspectionReport as InspectionReport
from .reports.sums import WrittenFile as WrittenFile
from .reports.verification import VerificationError as VerificationError
from .reports.verification import VerificationReport as VerificationReport
from .tensors.dtype import DType as DType
from .tensors.loss import CastLoss as CastLoss
from .tensors.stats import TensorStats as TensorStats
from .tensors.tensor import LazyTensor as LazyTensor
from .tensors.tolerance import Tolerance as Tolerance
from .tokenizer.encoder import Encoder as Encoder
