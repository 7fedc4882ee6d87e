"""The MDX-Net models of Ultimate Vocal Remover (UVR), which remove music from recordings, by ONNX Runtime alone.

Their library, audio-separator 0.47, needs torch, torchvision, a nightly build of onnx and a fork of onnx2torch, and holds whole
files in memory. So the graph is run here with the published algorithm, as in Emilia-Pipe.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from podcast_assets.common.errors import EngineUnavailable
from podcast_assets.engines import model_lock, models, onnx_sessions
from podcast_assets.engines.engine import Engine, runtime
from podcast_assets.engines.model_cache import HubModel

if TYPE_CHECKING:
    from podcast_assets.audio.separators.uvr_mdx.network import MdxSeparator

_MEGABYTES = 67


@dataclass(frozen=True, slots=True)
class PublishedModel:
    """Published parameters of a model."""

    n_fft: int
    compensate: float
    predicts: Literal["voice", "accompaniment"]
    sha256: str


PUBLISHED: Mapping[str, PublishedModel] = {
    "UVR-MDX-NET-Inst_HQ_3.onnx": PublishedModel(
        6144, 1.022, "accompaniment", "317554b07fe1ea5279a77f2b1520a41ea4b93432560c4ffd08792c30fddf9adc"
    ),
    "UVR-MDX-NET-Voc_FT.onnx": PublishedModel(
        7680, 1.021, "voice", "534b2070fcc7df514b13ef660dc8cbb328679c2374d04354a5c42bb14ecce111"
    ),
}
"""From UVR's table of models (TRvlvr/application_data, mdx_model_data/model_data.json), which identifies them by the MD5 of their
last 10,000 KiB: 55657dd70583b0fedfba5f67df11d711 and 77d07b2667ddf05b9e3175941b4454a0."""


class UvrMdx(Engine):
    """Settings of the MDX-Net models of UVR."""

    name: ClassVar[str] = "uvr-mdx"
    packages: ClassVar[tuple[str, ...]] = ("scipy", "soxr")

    model: str = "seanghay/uvr_models"
    """An .onnx file, a folder, or a model of the Hugging Face hub ("owner/name")."""
    file: str = "UVR-MDX-NET-Inst_HQ_3.onnx"
    """The model's name in the folder or on the hub; by default the one that Emilia-Pipe uses."""
    n_fft: int | None = Field(default=None, ge=4)
    """Samples of a frame; None uses the published value of the file, also for `compensate` and `predicts`."""
    compensate: float | None = Field(default=None, gt=0)
    """The voice is the mix minus this times a predicted accompaniment, as in UVR and audio-separator (Emilia-Pipe: 1); not
    used if the voice is predicted."""
    predicts: Literal["voice", "accompaniment"] | None = None
    hop: int = Field(default=1024, ge=1)
    """Samples from one frame to the next; 1024 for every model of UVR."""
    margin: float = Field(default=0.5, ge=0)
    """Seconds at either end of a chunk that are computed and discarded; at least half a frame, as published. Chunks of the
    published models last 5.9 s: half a second costs about as much as Emilia-Pipe's second around 15 s."""
    denoise: bool = False
    """Also run the network on the inverted chunk and use the mean, as in Emilia-Pipe: less noise, twice the time."""
    device: Literal["auto", "cpu", "cuda"] = runtime("auto")
    batch_size: int = runtime(0, ge=0)
    """Chunks computed together; 0 is 4 on GPUs and 1 on CPUs."""
    threads: int = runtime(0, ge=0)
    """CPU threads; 0 leaves the number to ONNX Runtime."""

    @property
    def is_local(self) -> bool:
        """Return whether `model` is a file or folder, existing or not, rather than a Hub name."""
        return self.model.startswith((".", "~", "/")) or self.model.endswith(".onnx") or Path(self.model).exists()

    def hub_models(self) -> list[HubModel]:
        """Return the Hub model, unless the model is local. UVR asks for credit under the MIT licence."""
        return [] if self.is_local else [HubModel(self.model, (self.file,), _MEGABYTES, "mit")]

    def model_files(self) -> list[Path]:
        """Return the graph; empty until a Hub model is downloaded."""
        path = self._graph_path()
        return [path] if path is not None and path.is_file() else []

    def unavailable_reason(self) -> str | None:
        """Implement `Engine.unavailable_reason`."""
        path = self._graph_path()
        if path is not None and not path.is_file():
            return f"there is no model {path} for uvr-mdx"
        required = (
            ["n_fft", "predicts"]
            if self._resolve_setting("predicts") == "voice"
            else ["n_fft", "predicts", "compensate"]
        )
        missing = [name for name in required if self._resolve_setting(name) is None]
        if missing:
            return f"uvr-mdx does not know the model {self._graph_file}: set its {', '.join(missing)}"
        return None

    def fetch(self) -> None:
        """Implement `Engine.fetch`.

        Raises:
            EngineUnavailable: the model cannot be downloaded, has other content than published, or is unknown.
        """
        self._download_graph()

    def devices(self) -> list[str]:
        """Return every GPU if ONNX Runtime can compute on GPUs."""
        return onnx_sessions.devices(self.device)

    def identity(self) -> dict[str, Any]:
        """Return the identity of an engine, with the parameters taken from the table of published models."""
        identity = super().identity()
        identity["settings"] |= {name: self._resolve_setting(name) for name in ("n_fft", "compensate", "predicts")}
        if identity["model"]:
            identity["settings"].pop("file")
        return identity

    def versions(self) -> dict[str, str]:
        """Include the version of ONNX Runtime, whichever distribution is installed."""
        return super().versions() | {"onnxruntime": onnx_sessions.runtime_version()}

    def load(self, device: str | None = None) -> "MdxSeparator":
        """Load the model, downloading it from the Hub if necessary.

        Args:
            device: the GPU that is held for it, such as "cuda:1".

        Raises:
            EngineUnavailable: a package or the model is missing, or the model is not an MDX-Net.
        """
        from podcast_assets.audio.separators.separation import SEPARATION_RATE, Chunking
        from podcast_assets.audio.separators.uvr_mdx.network import MdxSeparator, Spectrogram

        path = self._download_graph()
        session = onnx_sessions.open_session(path, self.device, held=device, threads=self.threads)
        batch, bins, frames = _input_shape(session, path)
        try:
            spectrogram = Spectrogram(self._resolve_setting("n_fft"), self.hop, bins, frames)
            margin = max(round(self.margin * SEPARATION_RATE), spectrogram.n_fft // 2)
            chunking = Chunking(spectrogram.length, margin)
        except ValueError as error:
            raise EngineUnavailable(f"the settings of uvr-mdx do not fit {path}: {error}") from error
        return MdxSeparator(
            name=self.name,
            session=session,
            spectrogram=spectrogram,
            chunking=chunking,
            predicts=self._resolve_setting("predicts"),
            compensate=self._resolve_setting("compensate") or 1.0,
            denoise=self.denoise,
            batch_size=batch or self.batch_size or (4 if self.devices() else 1),
        )

    @property
    def _graph_file(self) -> str:
        return Path(self.model if self.model.endswith(".onnx") else self.file).name

    def _resolve_setting(self, name: str) -> Any:
        """Return a setting or, if unset, its published value."""
        return getattr(self, name) or getattr(PUBLISHED.get(self._graph_file), name, None)

    def _graph_path(self) -> Path | None:
        """Return the path where the graph is or should be; None until a Hub model is downloaded."""
        if self.is_local:
            path = Path(self.model).expanduser()
            return path if self.model.endswith(".onnx") else path / self.file
        folder = models.find_model(self.hub_models()[0])
        return folder and folder / self.file

    def _download_graph(self) -> Path:
        for model in self.hub_models():
            path = models.fetch_model(model) / self.file
            known = PUBLISHED.get(self._graph_file)
            if known and model_lock.file_sha256(path) != known.sha256:  # anyone may upload a file with that name
                raise EngineUnavailable(
                    f"{self.file} of {self.model} is not the file that UVR published: use another model"
                )
        reason, path = self.unavailable_reason(), self._graph_path()
        if reason or path is None:
            raise EngineUnavailable(reason or f"{self.file} of the model {self.model} is not on this machine")
        return path


def _input_shape(session: Any, path: Path) -> tuple[int | None, int, int]:
    """Return a graph's batch size (None: any), and the number of frequencies and frames of a chunk.

    Raises:
        EngineUnavailable: the graph is not an MDX-Net.
    """
    shapes = [[v.shape for v in values] for values in (session.get_inputs(), session.get_outputs())]
    match shapes:
        case [[[batch, 4, int(bins), int(frames)]], [[_, 4, out_bins, out_frames]]]:
            if (bins, frames) == (out_bins, out_frames) and (batch == 1 or not isinstance(batch, int)):
                return (batch if isinstance(batch, int) else None), bins, frames
    raise EngineUnavailable(
        f"{path} is not a UVR MDX-Net, whose input and output are (batch, 4, frequencies, frames): it has {shapes}"
    )
