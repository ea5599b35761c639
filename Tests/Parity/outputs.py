"""Outputs of both sides on the same input. Each function returns what the reference computes, by name, and a function
that computes the same with the class of the Model Zoo."""

import re

import torch


def _tokens(vocabulary, length, avoid=()):
    generator = torch.Generator().manual_seed(11)
    tokens = torch.randint(0, vocabulary, (2, length), generator=generator)
    for token in avoid:
        if token is not None:
            tokens[tokens == token] = max(t for t in range(vocabulary) if t not in avoid)
    return tokens


def _length(config):
    return min(getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 48, 48)


def _pixels(config):
    return torch.randn(2, config.num_channels, config.image_size, config.image_size, generator=torch.Generator().manual_seed(5))


def _first(result):
    return result[0] if isinstance(result, (tuple, list)) else result


def _decoder(reference, vendor):
    tokens = _tokens(reference.config.vocab_size, _length(reference.config))
    result = reference(input_ids=tokens, use_cache=False)
    if hasattr(result, "logits"):
        return {"logits": result.logits}, lambda: {"logits": _first(vendor.model(input_ids=tokens))}

    def hidden():
        """What enters the head: the class always has one, with drawn or tied weights."""
        seen = {}
        hook = vendor.model.lm_head.register_forward_pre_hook(lambda _, inputs: seen.update(hidden=inputs[0]))
        try:
            vendor.model(input_ids=tokens)
        finally:
            hook.remove()
        return seen

    return {"hidden": result.last_hidden_state}, hidden


def _preference(reference, vendor):
    """Direct preference optimisation: policy and reference model start as the same model."""
    tokens = _tokens(reference.config.vocab_size, _length(reference.config))
    logits = reference(input_ids=tokens, use_cache=False).logits
    return {"policy": logits, "reference": logits}, lambda: {
        "policy": _first(vendor.policy_model.model(input_ids=tokens)), "reference": _first(vendor.ref_model.model(input_ids=tokens))}


def _encoder(reference, vendor):
    config, kind = reference.config, type(reference).__name__
    length, padding = _length(config), config.pad_token_id
    roberta, esm = kind.startswith("Roberta"), kind.startswith("Esm")
    if roberta or (esm and config.position_embedding_type == "absolute"):
        length = min(length, config.max_position_embeddings - padding - 1)  # positions start after the padding's
    tokens = _tokens(config.vocab_size, length, avoid=(padding,))
    if esm and config.token_dropout:
        tokens[:, 1] = config.mask_token_id
    mask, segments = torch.ones_like(tokens), torch.zeros_like(tokens)
    if not (roberta or esm) and config.type_vocab_size > 1:
        segments[:, length // 2:] = 1
    result = reference(input_ids=tokens, attention_mask=mask, **({} if esm else {"token_type_ids": segments}))
    want = {name: result[name] for name in ("prediction_logits", "seq_relationship_logits", "logits") if name in result}

    def run():
        got = vendor.model(input_ids=tokens, attention_mask=mask, token_type_ids=None if esm else segments)
        if not isinstance(got, (tuple, list)):
            return {"logits": got}
        return dict(zip(want, got))

    return want, run


def _two_encoders(reference, vendor):
    tokens = _tokens(reference.config.vocab_size, _length(reference.config), avoid=(reference.config.pad_token_id,))
    others, mask, segments = tokens.flip(1), torch.ones_like(tokens), torch.zeros_like(tokens)
    segments[:, tokens.shape[1] // 2:] = 1
    question, context = (encoder(input_ids=text, attention_mask=mask, token_type_ids=segments).last_hidden_state[:, 0]
                         for encoder, text in ((reference.question, tokens), (reference.context, others)))
    want = {"scores": question @ context.T, "question": question, "context": context}

    def run():
        scores, _, questions, contexts = vendor.model(
            questions_input_ids=tokens, questions_attention_mask=mask, questions_token_type_ids=segments,
            ctx_input_ids=others[:, None], ctx_attention_mask=mask[:, None], ctx_token_type_ids=segments[:, None])
        return {"scores": scores, "question": questions, "context": contexts}

    return want, run


def _encoder_decoder(reference, vendor):
    vocabulary = reference.config.vocab_size
    source, target = _tokens(vocabulary, 24), _tokens(vocabulary, 17).flip(1)
    sees, seen = torch.ones_like(source), torch.ones_like(target)
    logits = reference(input_ids=source, attention_mask=sees, decoder_input_ids=target, use_cache=False).logits
    return {"logits": logits}, lambda: {"logits": _first(vendor.model(
        input_ids=source, attention_mask=sees, decoder_input_ids=target, decoder_attention_mask=seen))}


def _vision(reference, vendor):
    pixels = _pixels(reference.config)
    return {"image_embeds": reference(pixel_values=pixels).image_embeds}, lambda: {"image_embeds": _first(vendor.model(pixels))}


def _vision_and_text(reference, vendor):
    pixels = _pixels(reference.tower.config)
    features = reference.features(pixels)
    count, start = features.shape[1], 1
    tokens = _tokens(reference.config.vocab_size, count + 5)
    embedded = reference.text.get_input_embeddings()(tokens)
    embedded = torch.cat([embedded[:, :start], features, embedded[:, start + count:]], dim=1)
    logits = reference.text(inputs_embeds=embedded, use_cache=False).logits

    def run():
        inner = vendor.model
        if hasattr(inner, "image_start_idx"):
            inner.image_start_idx = start
            return {"logits": _first(inner(image_data=pixels, text_input_ids=tokens))}
        places = torch.arange(start, start + count).repeat(pixels.shape[0], 1, 1)
        return {"logits": _first(inner(image_data=pixels[:, None], text_input_ids=tokens, image_data_loc=places,
                                       token_modality_idx=torch.zeros_like(tokens)))}

    return {"logits": logits}, run


def both(reference, vendor):
    """The outputs of the reference, and a function for those of the vendor's class (which may be nil if not called)."""
    kind = type(reference).__name__
    if vendor is not None and hasattr(vendor, "policy_model"):
        return _preference(reference, vendor)
    for prefix, function in (("Llava", _vision_and_text), ("Dragon", _two_encoders), ("T5", _encoder_decoder), ("CLIP", _vision),
                             ("Bert", _encoder), ("Roberta", _encoder), ("Esm", _encoder)):
        if kind.startswith(prefix):
            return function(reference, vendor)
    return _decoder(reference, vendor)


def difference(want, got):
    """The largest difference of any output; infinite where a shape differs or a value is not a number."""
    worst = 0.0
    for name, expected in want.items():
        found = got.get(name)
        if found is None or found.shape != expected.shape:
            return float("inf")
        distance = float((found.float() - expected.float()).abs().max())
        worst = max(worst, distance if distance == distance else float("inf"))
    return worst


def unseen(want, run, model, tolerance):
    """Parameters that the outputs do not show: shuffled, they move no output by ten times the tolerance. Numbers of
    layers become `*`. A key's bias before the softmax is always among them: it shifts every score of a row alike."""
    names = set()
    for name, parameter in model.named_parameters():
        kept = parameter.detach().clone()
        order = torch.randperm(kept.numel(), generator=torch.Generator().manual_seed(3))
        parameter.data.copy_(kept.flatten()[order].view_as(kept) * 1.25 + 0.03125)
        if difference(want, run()) < 10 * tolerance:
            names.add(re.sub(r"\.\d+\.", ".*.", name))
        parameter.data.copy_(kept)
    return sorted(names)
