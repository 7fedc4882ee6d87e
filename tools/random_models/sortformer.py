"""A streaming Sortformer of random weights: NeMo's real class and layers, only narrower; about 0.4 MB.

Run it with the interpreter of an environment with NeMo: `python sortformer.py FILE.nemo`. The settings are those of NeMo's
examples/speaker_tasks/diarization/conf/neural_diarizer/streaming_sortformer_diarizer_4spk-v2.yaml, with fewer and smaller layers.
"""

import importlib
import sys
from typing import Any

SPEAKERS, MELS, WIDTH, HIDDEN = 4, 128, 32, 16


def configuration() -> dict[str, Any]:
    """Return the configuration of a `SortformerEncLabelModel`."""
    modules = "nemo.collections.asr.modules"
    return {
        "sample_rate": 16000,
        "pil_weight": 0.5,
        "ats_weight": 0.5,
        "max_num_of_spks": SPEAKERS,
        "streaming_mode": True,
        "model_defaults": {"fc_d_model": WIDTH, "tf_d_model": HIDDEN},
        "preprocessor": {
            "_target_": f"{modules}.AudioToMelSpectrogramPreprocessor",
            "normalize": "NA",
            "window_size": 0.025,
            "sample_rate": 16000,
            "window_stride": 0.01,
            "window": "hann",
            "features": MELS,
            "n_fft": 512,
            "frame_splicing": 1,
            "dither": 0.00001,
        },
        "sortformer_modules": {
            "_target_": f"{modules}.sortformer_modules.SortformerModules",
            "num_spks": SPEAKERS,
            "dropout_rate": 0.5,
            "fc_d_model": WIDTH,
            "tf_d_model": HIDDEN,
        },
        "encoder": {
            "_target_": f"{modules}.ConformerEncoder",
            "feat_in": MELS,
            "feat_out": -1,
            "n_layers": 1,
            "d_model": WIDTH,
            "subsampling": "dw_striding",
            "subsampling_factor": 8,
            "subsampling_conv_channels": 8,
            "ff_expansion_factor": 2,
            "self_attention_model": "rel_pos",
            "n_heads": 4,
            "att_context_size": [-1, -1],
            "xscaling": True,
            "untie_biases": True,
            "conv_kernel_size": 9,
            "conv_norm_type": "batch_norm",
        },
        "transformer_encoder": {
            "_target_": f"{modules}.transformer.transformer_encoders.TransformerEncoder",
            "num_layers": 1,
            "hidden_size": HIDDEN,
            "inner_size": 32,
            "num_attention_heads": 4,
            "hidden_act": "relu",
            "pre_ln": False,
            "pre_ln_final_layer_norm": True,
        },
        "loss": {"_target_": "nemo.collections.asr.losses.bce_loss.BCELoss", "weight": None, "reduction": "mean"},
    }


def make(path: str, *, seed: int = 0) -> None:
    """Write the model. Its last layer is set so that each speaker is silent for half of a noise that swells: so that there are
    turns, and overlapping ones.
    """
    torch = importlib.import_module("torch")
    omegaconf = importlib.import_module("omegaconf")
    models = importlib.import_module("nemo.collections.asr.models")
    torch.manual_seed(seed)
    model = models.SortformerEncLabelModel(cfg=omegaconf.OmegaConf.create(configuration())).eval()
    swells = torch.linspace(0, 1, 16000 * 4).repeat(4)
    noise = (torch.randn(len(swells)) * swells).numpy()
    last = model.sortformer_modules.single_hidden_to_spks
    with torch.no_grad():
        last.weight.mul_(30)
        _, (probabilities,) = model.diarize(
            audio=[noise], sample_rate=16000, include_tensor_outputs=True, verbose=False
        )
        last.bias.sub_(torch.logit(probabilities[0], eps=1e-6).median(dim=0).values)
    model.save_to(path)


if __name__ == "__main__":
    make(sys.argv[1])
