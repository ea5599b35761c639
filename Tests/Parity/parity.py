#!/usr/bin/env python
"""Do converted checkpoints compute the same? Small models, converted by Zooport, computed by both sides.

    parity.py --model-zoo CHECKOUT [--zooport COMMAND] [--format cs-2.9] [--unseen] [MODEL ...]

For each model of `variants.py` (MODEL names models, or variants as `llama/grouped`):

  hf -> cs   Zooport converts a Hugging Face folder. The class that the written params file names is built from it, takes
             every key of it, loads the written state dict strictly, and its outputs differ from those of transformers by
             less than 1e-4.
  cs -> hf   Zooport converts the result back. transformers loads it strictly; its outputs equal the original's bit for bit
             (gemma2, whose norms are stored plus one: within rounding). Where a variant sets values of the params file
             first, its outputs equal those of the class with these values.

Exit status: 0 when everything agrees, 1 when anything differs or fails, 2 for wrong usage. Run it with the Python of
.venv-cerebras (`make interop-cerebras MODEL_ZOO=CHECKOUT`).
"""

import argparse
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import torch

import outputs
import references
import variants
import vendor

TOLERANCE = 1e-4
THERE, BACK = "hf -> cs", "cs -> hf"


class Failed(Exception):
    """The converter ended with an error or wrote no pair of files."""


def convert(command, folder, checkpoint, config, model, source, target, output):
    """Runs `zooport convert` in `folder`. Throws `Failed` with its last line."""
    process = subprocess.run(
        [*command, "convert", checkpoint, "--model", model, "--src-fmt", source, "--tgt-fmt", target, "--config", config,
         "--output-dir", output], cwd=folder, capture_output=True, text=True, timeout=600)
    if process.returncode:
        said = (process.stderr.strip() or process.stdout.strip()).splitlines()
        # The first line of Zooport's errors is the message; what follows it is usage and warnings.
        errors = [line for line in said if line.lower().startswith("error")]
        raise Failed((errors or said[-1:] or [f"status {process.returncode}"])[0])


def only(folder, *patterns):
    """The one file of a folder that matches any of the patterns."""
    found = [file for pattern in patterns for file in sorted(Path(folder).glob(pattern))]
    if len(found) != 1:
        raise Failed(f"{len(found)} files named {' or '.join(patterns)} in the output")
    return found[0]


def loadable(output, folder):
    """What `cs -> hf` wrote, as a folder that from_pretrained takes: written as one, or a file and its config apart."""
    for parts in (("text_model", "image_model"), ("q_encoder", "ctx_encoder")):
        for place in (output, *(each for each in output.iterdir() if each.is_dir())):
            if all((place / part).is_dir() for part in parts):
                return place
    folders = [each.parent for each in output.glob("*/config.json")]
    if len(folders) == 1:
        return folders[0]
    folder.mkdir()
    shutil.copy(only(output, "*.json"), folder / "config.json")
    weights = only(output, "*.bin", "*.safetensors")
    shutil.copy(weights, folder / ("model.safetensors" if weights.suffix == ".safetensors" else "pytorch_model.bin"))
    return folder


class Check:
    """One run over variants. `rows` are the lines of the table; `failures` counts those that do not agree."""

    def __init__(self, arguments):
        self.command = shlex.split(arguments.zooport)
        self.format = arguments.format
        self.allow_refused_keys = arguments.allow_refused_keys
        self.unseen = arguments.unseen
        self.failures = 0

    def row(self, variant, direction, difference, verdict, failed):
        self.failures += failed
        shown = "" if difference is None else f"{difference:.1e}"
        print(f"{variant.model:26} {variant.name:18} {direction:9} {shown:>8}  {verdict}", flush=True)

    def run(self, variant, folder):
        variant.write(folder / "source")
        release = self.format + variant.format_suffix
        parts = not (folder / "source" / "config.json").exists()
        for direction, function in ((THERE, self.there), (BACK, self.back)):
            difference, verdict, failed = None, "", True
            try:
                difference, verdict, failed = function(variant, folder, release, parts)
            except Failed as error:
                verdict = f"FAILS: zooport: {error}"
            except vendor.Refused as error:
                verdict = f"FAILS: the Model Zoo refuses it: {error}"
            except references.NoReference as error:
                verdict = f"FAILS: transformers refuses it: {error}"
            except Exception as error:  # the forward pass of either side, or a mistake in this program
                verdict = f"FAILS: {type(error).__name__}: {error}"
            self.row(variant, direction, difference, " ".join(verdict.split())[:400], failed)
            if not (folder / "there").is_dir() or not any((folder / "there").glob("*.mdl")):
                return

    def there(self, variant, folder, release, parts):
        convert(self.command, folder, "source" if parts else "source/pytorch_model.bin",
                "source" if parts else "source/config.json", variant.model, "hf", release, "there")
        checkpoint, params = only(folder / "there", "*.mdl"), only(folder / "there", "*.yaml")
        model, refused = vendor.read(params, checkpoint, variant.model, self.allow_refused_keys)
        want, run = outputs.both(references.read(folder / "source"), model)
        difference, verdict = outputs.difference(want, run()), "same"
        if difference >= TOLERANCE and variant.exact:
            want, run = outputs.both(references.read(folder / "source", changes=variant.exact), model)
            difference, verdict = outputs.difference(want, run()), "same, with the exact GELU on both sides"
        failed = not difference < TOLERANCE
        notes = [f"refused keys left out: {', '.join(refused)}"] if refused else []
        if self.unseen:
            names = outputs.unseen(want, run, model, TOLERANCE)
            notes += [f"not seen by the outputs: {', '.join(names)}"] if names else []
        return difference, "; ".join(["DIFFERS" if failed else verdict, *notes]), failed

    def back(self, variant, folder, release, parts):
        checkpoint, params = only(folder / "there", "*.mdl"), only(folder / "there", "*.yaml")
        if variant.params:
            vendor.change(params, variant.params)
        convert(self.command, folder, str(checkpoint.relative_to(folder)), str(params.relative_to(folder)), variant.model,
                release, "hf", "back")
        if variant.params:
            model, _ = vendor.read(params, checkpoint, variant.model, self.allow_refused_keys)
            want, run = outputs.both(references.read(loadable(folder / "back", folder / "hf")), model)
            difference = outputs.difference(want, run())
            return difference, "same as the class" if difference < TOLERANCE else "DIFFERS", not difference < TOLERANCE
        original = references.read(folder / "source")
        want, _ = outputs.both(original, None)
        # A model without a head is loaded by the class without one, whatever `architectures` says.
        kind = type(original).__name__ if variant.model.endswith("-headless") else None
        result = loadable(folder / "back", folder / "hf")
        got, _ = outputs.both(references.read(result, kind), None)
        difference, note = outputs.difference(want, got), ""
        if difference > variant.rounding and variant.exact:
            # Params files cannot say which GELU it was; the exact one is what comes back.
            want, got = (outputs.both(references.read(place, changes=variant.exact), None)[0] for place in (folder / "source", result))
            difference, note = outputs.difference(want, got), ", with the exact GELU on both sides"
        failed = difference > variant.rounding
        return difference, "DIFFERS" if failed else ("bit-equal" if difference == 0 else "same") + note, failed


def chosen(names):
    """The variants that the names choose, and the models not compared that they name."""
    known = {v.model for v in variants.VARIANTS} | {f"{v.model}/{v.name}" for v in variants.VARIANTS} | set(variants.NOT_COMPARED)
    for name in names:
        if name not in known:
            models = sorted({v.model for v in variants.VARIANTS})
            sys.exit(f"parity.py: no model {name}. There are: {' '.join(models)}")
    wanted = [v for v in variants.VARIANTS if not names or v.model in names or f"{v.model}/{v.name}" in names]
    return wanted, {name: why for name, why in variants.NOT_COMPARED.items() if not names or name in names}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", help="models, or variants as MODEL/VARIANT (default: all)")
    parser.add_argument("--model-zoo", required=True, metavar="CHECKOUT", help="a checkout of Model Zoo 2.10")
    parser.add_argument("--zooport", default=".build/release/zooport", metavar="COMMAND", help="the converter's command")
    parser.add_argument("--format", default="cs-2.9", help="the release to convert to and back from (default: cs-2.9)")
    parser.add_argument("--unseen", action="store_true", help="also name parameters that the outputs do not show")
    parser.add_argument("--allow-refused-keys", action="store_true",
                        help="leave out config keys that the class refuses and name them (to judge another converter)")
    parser.add_argument("--keep", metavar="FOLDER", help="keep every file that is made, in this folder")
    arguments = parser.parse_args()
    wanted, not_compared = chosen(arguments.models)
    words = shlex.split(arguments.zooport)
    arguments.zooport = shlex.join([str(Path(words[0]).resolve()) if os.sep in words[0] else words[0], *words[1:]])

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    torch.set_grad_enabled(False)
    torch.set_num_threads(1)
    vendor.use(arguments.model_zoo)

    check, started = Check(arguments), time.monotonic()
    print(f"{'model':26} {'variant':18} {'direction':9} {'max diff':>8}  verdict")
    with tempfile.TemporaryDirectory(prefix="parity-") as temporary:
        for variant in wanted:
            folder = Path(arguments.keep or temporary).resolve() / f"{variant.model}-{variant.name}"
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            check.run(variant, folder)
            if not arguments.keep:
                shutil.rmtree(folder)
    for name, why in not_compared.items():
        print(f"{name:26} {'':18} {'':9} {'':>8}  not compared: {why}")
    print(f"{len(wanted)} models in {time.monotonic() - started:.0f} s, {check.failures} failures")
    sys.stdout.flush()
    # The vendor's packages leave threads behind that would hold an ordinary exit up.
    os._exit(1 if check.failures else 0)


if __name__ == "__main__":
    main()
