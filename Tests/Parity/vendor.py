"""The Model Zoo side: the class that a params file names, with the state dict of a checkpoint loaded strictly.

The Model Zoo 2.10 is not part of the project. `use` puts a checkout of it on the path; its classes are plain torch
modules that compute on the CPU.
"""

import copy
import sys
import warnings
from pathlib import Path

import torch
import yaml


class Refused(Exception):
    """The Model Zoo does not take the config or the checkpoint. The message is what it said."""


def use(checkout):
    """Makes `import cerebras.modelzoo` find the checkout. Returns nothing; exits where there is no Model Zoo."""
    source = Path(checkout).resolve() / "src"
    if not (source / "cerebras" / "modelzoo").is_dir():
        sys.exit(f"{checkout} is not a checkout of the Model Zoo: it has no src/cerebras/modelzoo.")
    sys.path.insert(0, str(source))
    # The installed packages own the namespace `cerebras` already, so the path alone does not extend it.
    import cerebras

    folder = str(source / "cerebras")
    if folder not in list(cerebras.__path__):
        cerebras.__path__.append(folder)


def class_name(model):
    """The name under which the Model Zoo registers the class of a model of the converter; nil where it has none."""
    from cerebras.modelzoo.tools.checkpoint_converters.registry import get_cs_model_name

    return get_cs_model_name(model, raise_error=False)


def model_section(params_file):
    """The model section of a params file. Layouts before 2.3 are first carried to the trainer's, as the trainer does."""
    params = yaml.safe_load(Path(params_file).read_text())
    if not isinstance(params, dict) or not ("trainer" in params or "model" in params):
        raise Refused("the params file has neither `trainer` nor `model`")
    if "trainer" not in params:
        from cerebras.modelzoo.trainer.utils import convert_legacy_params_to_trainer_params

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            params = convert_legacy_params_to_trainer_params({"model": params["model"]})
    if not isinstance(params["trainer"], dict):
        raise Refused("`trainer` is not a mapping")
    return params["trainer"]["init"]["model"]


def change(params_file, values):
    """Sets values of the model section of a params file, by path."""
    params_file = Path(params_file)
    params = yaml.safe_load(params_file.read_text())
    section = params["trainer"]["init"]["model"] if "trainer" in params else params["model"]
    for path, value in values.items():
        *way, last = path.split(".")
        node = section
        for key in way:
            node = node[key]
        node[last] = value
    params_file.write_text(yaml.safe_dump(params))


def state_dict(checkpoint):
    """The tensors of a checkpoint, read by the real cstorch (HDF5 and torch archives)."""
    import cerebras.pytorch as cstorch

    try:
        content = cstorch.load(str(checkpoint), map_location="cpu")
    except Exception as error:  # cstorch raises bare exceptions of many kinds
        raise Refused(f"cstorch.load: {type(error).__name__}: {error}") from error
    tensors = content.get("model", content)
    return {key: value._materialize().clone() if hasattr(value, "_materialize") else value
            for key, value in tensors.items()}


def _remove(section, location):
    """Removes the key that pydantic reports. Its location may hold tags of unions, which are no keys of the section."""
    node = section
    for step in location[:-1]:
        if isinstance(node, dict) and isinstance(node.get(step), (dict, list)):
            node = node[step]
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
    return isinstance(node, dict) and node.pop(location[-1], None) is not None or False


def build(section, model, allow_refused_keys=False):
    """Builds the class. Returns it with the keys that it refused: none, unless `allow_refused_keys` leaves them out."""
    import pydantic
    from cerebras.modelzoo.config.utils import create_config_class
    from cerebras.modelzoo.registry import registry

    section = copy.deepcopy(section)
    # Params files before 2.4 do not name their class.
    name = section.setdefault("name", class_name(model))
    try:
        config_class = create_config_class(registry.get_model_class(name))
    except Exception as error:
        raise Refused(f"`name: {str(name)[:60]}`: {type(error).__name__}: {error}") from error
    refused = []
    while True:
        try:
            torch.manual_seed(7)
            built = config_class.model_validate(section)()
            break
        except pydantic.ValidationError as error:
            extra = [each["loc"] for each in error.errors() if each["type"] == "extra_forbidden"]
            if not allow_refused_keys or not extra or not all(_remove(section, location) for location in extra):
                found = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
                raise Refused(f"config keys: {found}") from error
            refused += [str(location[-1]) for location in extra]
        except Exception as error:
            raise Refused(f"{type(error).__name__}: {error}") from error
    # The decoder reports the routing of experts to the trainer, which does not run here.
    for module in ("layers.TransformerDecoder", "models.nlp.dpo.model"):
        loaded = sys.modules.get(f"cerebras.modelzoo.{module}")
        if loaded is not None and hasattr(loaded, "summarize_scalar"):
            loaded.summarize_scalar = lambda *_, **__: None
    return built, sorted(set(refused))


def _equal(left, right):
    return left.shape == right.shape and bool(((left == right) | (left.isnan() & right.isnan())).all())


def load(built, tensors):
    """Loads a state dict strictly. Keys that are one parameter of the class must hold equal values."""
    inner = built
    if hasattr(built, "model") and not all(key.startswith("model.") for key in tensors):
        inner = built.model
    try:
        inner.load_state_dict(dict(tensors), strict=True)
    except Exception as error:
        raise Refused(f"load_state_dict: {error}") from error
    names = {}
    for key, parameter in inner.state_dict(keep_vars=True).items():
        names.setdefault(id(parameter), []).append(key)
    for first, *others in names.values():
        for other in others:
            if first in tensors and other in tensors and not _equal(tensors[first], tensors[other]):
                raise Refused(f"{first} and {other} are one parameter but hold different values")
    if hasattr(built, "_post_device_transfer"):
        built._post_device_transfer()  # the trainer ties weights again here
    return built.float().eval()


def read(params_file, checkpoint, model, allow_refused_keys=False):
    """What a params file and a checkpoint make: the class, ready to compute, and the keys that it refused."""
    built, refused = build(model_section(params_file), model, allow_refused_keys)
    return load(built, state_dict(checkpoint)), refused
