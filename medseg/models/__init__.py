"""A model is a folder: card.json and model.safetensors. Data only, never code."""
