"""A tiny CLIP model with drawn weights, saved as a real one is, and images for it."""

import io
import json
from base64 import b64encode
from pathlib import Path

import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor, CLIPTokenizer, logging

LAYER = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
VOCABULARY = {"!": 0, "<|startoftext|>": 1, "<|endoftext|>": 2, "a": 3, "a</w>": 4}
EDGE, DIMENSION = 32, 16


def clip_model(folder: Path) -> str:
    """The folder of a model of one layer on either side."""
    logging.disable_progress_bar()
    torch.manual_seed(1)
    text = {**LAYER, "vocab_size": len(VOCABULARY), "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 8}
    vision = {**LAYER, "image_size": EDGE, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIMENSION)).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(VOCABULARY), "utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    images = CLIPImageProcessorPil(size={"shortest_edge": EDGE}, crop_size={"height": EDGE, "width": EDGE})
    CLIPProcessor(image_processor=images, tokenizer=tokenizer).save_pretrained(folder)
    return str(folder)


def image(colour: str, kind: str = "PNG", size: tuple[int, int] = (40, 50)) -> str:
    """An image of one colour, in base64."""
    written = io.BytesIO()
    Image.new("RGB", size, colour).save(written, kind)
    return b64encode(written.getvalue()).decode()
