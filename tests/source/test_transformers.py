"""Networks of the package transformers, tiny and with random weights, become ONNX with every output by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onepass
from tests.graph.test_clean import opens_at_every_level
from tests.source.networks import needs

needs("torch", "onnxscript", "transformers")
import torch
import transformers as hub

pytestmark = pytest.mark.filterwarnings("ignore")  # the packages' own deprecations are not ours to mend
_IDS = torch.arange(2, 18).reshape(2, 8)
_SMALL: dict[str, Any] = {
    "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 20,
}  # fmt: skip


def _bert() -> tuple[Any, dict[str, Any]]:
    network = hub.BertForQuestionAnswering(hub.BertConfig(**_SMALL, max_position_embeddings=10))
    return network, {"input_ids": _IDS, "attention_mask": torch.ones_like(_IDS)}


def _clip() -> tuple[Any, dict[str, Any]]:
    text = {**_SMALL, "max_position_embeddings": 10, "eos_token_id": 17, "bos_token_id": 0, "pad_token_id": 1}
    vision = {**_SMALL, "image_size": 16, "patch_size": 8}
    network = hub.CLIPModel(hub.CLIPConfig(text_config=text, vision_config=vision, projection_dim=12))
    return network, {
        "input_ids": _IDS,
        "pixel_values": torch.randn(2, 3, 16, 16),
        "attention_mask": torch.ones_like(_IDS),
    }


def _detr() -> tuple[Any, dict[str, Any]]:
    backbone = hub.ResNetConfig(embedding_size=8, hidden_sizes=[8, 8, 8, 16], depths=[1, 1, 1, 1], layer_type="basic",
                                out_features=["stage4"])  # fmt: skip
    network = hub.DetrForObjectDetection(hub.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone, d_model=16,
        encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=20,
        decoder_ffn_dim=20, num_queries=5,
    ))  # fmt: skip
    return network, {"pixel_values": torch.randn(1, 3, 64, 64), "pixel_mask": torch.ones(1, 64, 64, dtype=torch.int64)}


def _gpt2() -> tuple[Any, dict[str, Any]]:
    config = hub.GPT2Config(
        vocab_size=40, n_positions=12, n_embd=16, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    return hub.GPT2LMHeadModel(config), {"input_ids": _IDS}


def _segformer() -> tuple[Any, dict[str, Any]]:
    network = hub.SegformerForSemanticSegmentation(hub.SegformerConfig(
        num_encoder_blocks=2, depths=[1, 1], sr_ratios=[2, 1], hidden_sizes=[8, 16], patch_sizes=[7, 3], strides=[4, 2],
        num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=16, num_labels=3,
    ))  # fmt: skip
    return network, {"pixel_values": torch.randn(1, 3, 32, 32)}


def _sam() -> tuple[Any, dict[str, Any]]:
    vision = {"hidden_size": 16, "output_channels": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
              "image_size": 32, "patch_size": 8, "mlp_dim": 20, "global_attn_indexes": [0], "window_size": 2,
              "num_pos_feats": 8}  # fmt: skip
    prompt = {"hidden_size": 16, "image_size": 32, "patch_size": 8, "mask_input_channels": 4, "image_embedding_size": 4}
    mask = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "mlp_dim": 20,
        "iou_head_hidden_dim": 16,
    }
    network = hub.SamModel(hub.SamConfig(vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=mask))
    return network, {"pixel_values": torch.randn(1, 3, 32, 32), "input_points": torch.tensor([[[[5.0, 7.0]]]])}


def _wav2vec2() -> tuple[Any, dict[str, Any]]:
    network = hub.Wav2Vec2ForCTC(hub.Wav2Vec2Config(
        **_SMALL, conv_dim=[8, 8], conv_stride=[5, 2], conv_kernel=[10, 3], num_feat_extract_layers=2,
        num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
    ))  # fmt: skip
    return network, {"input_values": torch.randn(1, 200)}


def _whisper() -> tuple[Any, dict[str, Any]]:
    network = hub.WhisperForConditionalGeneration(hub.WhisperConfig(
        vocab_size=40, d_model=16, num_mel_bins=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=20, decoder_ffn_dim=20, max_source_positions=16,
        max_target_positions=12, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        begin_suppress_tokens=None,
    ))  # fmt: skip
    return network, {"input_features": torch.randn(1, 8, 32), "decoder_input_ids": _IDS[:1]}


_CACHE = ("cache.0.key", "cache.0.value", "cache.1.key", "cache.1.value")
_NETWORKS: dict[str, tuple[Callable[[], tuple[Any, dict[str, Any]]], tuple[str, ...]]] = {
    "BERT": (_bert, ("start_logits", "end_logits")),
    "CLIP": (_clip, ("logits_per_image", "logits_per_text", "text_embeds", "image_embeds")),
    "DETR": (_detr, ("logits", "pred_boxes")),
    "GPT-2": (_gpt2, ("logits", *_CACHE)),
    "Segformer": (_segformer, ("logits",)),
    "SAM": (_sam, ("iou_scores", "pred_masks")),
    "Wav2Vec2": (_wav2vec2, ("logits",)),
    "Whisper": (_whisper, ("logits", "encoder_last_hidden_state")),
}


@pytest.mark.parametrize("name", _NETWORKS)
def test_networks_of_transformers(name: str, tmp_path: Path) -> None:
    """Outputs come by their names, as PyTorch computes them, and the file opens at every level of optimisation."""
    make, names = _NETWORKS[name]
    torch.manual_seed(0)
    network, example = make()
    done = onepass.convert(network, tmp_path / "m.onnx", example_inputs=example)
    assert set(names) <= set(done.signature.output_names), done.signature.output_names
    assert all(error.relative < 1e-3 for error in done.errors), done.errors
    opens_at_every_level(onepass.OnnxGraph.load(tmp_path / "m.onnx"))
    with torch.no_grad():
        expected = network.eval()(**example)
    with onepass.load(tmp_path / "m.onnx") as session:
        outputs = session(
            {key: value.numpy() for key, value in example.items() if key in session.signature.input_names}
        )
    np.testing.assert_allclose(outputs[names[0]], expected[names[0]], rtol=1e-3, atol=1e-4)


def test_dynamic_sizes(tmp_path: Path) -> None:
    """BERT takes sentences of any number and length, where that is asked for."""
    network, example = _bert()
    sizes = {name: {0: "N", 1: "T"} for name in example}
    done = onepass.convert(network, tmp_path / "m.onnx", example_inputs=example, dynamic=sizes)
    assert {spec.shape for spec in (*done.signature.inputs, *done.signature.outputs)} == {("N", "T")}
    again = onepass.convert(tmp_path / "m.onnx", tmp_path / "again.onnx", batch=3)
    assert {spec.shape for spec in again.signature.outputs} == {(3, "T")}


def test_without_its_cache(tmp_path: Path) -> None:
    """Of GPT-2 the logits alone can be chosen; what only the cache needs is gone."""
    network, example = _gpt2()
    done = onepass.convert(network, tmp_path / "m.onnx", example_inputs=example, outputs=["logits"])
    assert done.signature.output_names == ("logits",)
