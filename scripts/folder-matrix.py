#!/usr/bin/env python3
"""Prints which folders of a source tree use types of which others, and fails when folders use each other in a circle.

    scripts/folder-matrix.py Sources/Core            exit status 1 when there is a cycle
    scripts/folder-matrix.py --show Sources/Server   prints the same; the exit status is 0
    scripts/folder-matrix.py --why Planning Files Sources/Core   lists the uses of Files in Planning

A folder is a direct subfolder of the tree, with everything below it; files beside the folders are the folder "(top)".
A use is the name of a type that another folder declares, or a member that another folder adds to a type: written as
`Type.member`, or as `.member` when no other folder declares a member of that name. Comments and the text of string
literals do not count; code inside of interpolations does.
"""

import argparse
import collections
import pathlib
import re
import sys

TOP = "(top)"
TYPE = {"struct", "class", "enum", "protocol", "actor", "typealias"}
GENERIC = TYPE | {"func"}
MODIFIERS = {"public", "package", "internal", "private", "fileprivate", "final", "indirect", "static", "mutating", "set"} | {"(", ")"}
TOKEN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*|\S")


def code_of(text):
    """The text without comments and without what string literals say."""
    out = []
    end = read_code(text, 0, out, None)
    assert end == len(text)
    return "".join(out)


def read_code(text, at, out, closing):
    """Copies code up to the end, or up to the parenthesis that closes an interpolation. Returns where it stopped."""
    depth = 0
    while at < len(text):
        character = text[at]
        if text.startswith("//", at):
            at = text.find("\n", at)
            if at < 0:
                return len(text)
        elif text.startswith("/*", at):
            at = end_of_comment(text, at)
            out.append(" ")
        elif string := re.compile(r'(#*)("""|")').match(text, at):
            at = read_string(text, string, out)
        elif closing and character == ")" and depth == 0:
            return at
        else:
            depth += (character == "(") - (character == ")")
            out.append(character)
            at += 1
    return at


def end_of_comment(text, at):
    """Comments nest in Swift."""
    depth = 0
    for mark in re.compile(r"/\*|\*/").finditer(text, at):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def read_string(text, opening, out):
    """Skips a literal and copies the code of its interpolations. Returns where the literal ends."""
    hashes, quotes = opening.groups()
    out.append(' "" ')
    mark = re.compile(r"\\" + hashes + r"\(|\\" + hashes + r"[^(]|" + quotes + hashes, re.DOTALL)
    at = opening.end()
    while found := mark.search(text, at):
        at = found.end()
        if found.group().endswith("("):
            out.append(" (")
            at = read_code(text, at, out, ")") + 1
            out.append(") ")
        elif not found.group().startswith("\\"):
            return at
    return len(text)


class File:
    """What one file declares, and the names that it uses."""

    def __init__(self, text):
        self.types = set()  # declared at the top level, not private
        self.own = set()  # private or nested: what this file means when it says the name alone
        self.members = set()  # (type, member) of types and extensions at the top level
        self.added = set()  # the members of extensions among them
        self.locals = set()  # names of all other values and functions
        self.uses = set()  # (enclosing type or None, name)
        self.qualified = set()  # (type, member)
        self.called = set()  # members that follow a dot
        tokens = TOKEN.findall(code_of(text))
        depth, body, extends = 0, None, False  # the type whose braces enclose the tokens
        for index, token in enumerate(tokens):
            before = tokens[index - 1] if index else ""
            following = tokens[index + 1] if index + 1 < len(tokens) else ""
            if token == "{":
                depth += 1
            elif token == "}":
                depth -= 1
                body = body if depth else None
            elif before in TYPE and token not in ("func", "var", "let", "subscript", "init"):
                words = modifiers(tokens, index - 1)
                if depth:
                    self.own.add(token)
                    if depth == 1 and body:
                        self.members.add((body, token))
                else:
                    (self.own if words & {"private", "fileprivate"} else self.types).add(token)
                    body, extends = token, False
            elif token == "extension" and depth == 0:
                body, extends = path_of(tokens, index + 1), True
            elif before in ("let", "var", "func", "case"):
                self.locals.add(token)
                if depth == 1 and body:
                    self.members.add((body, token))
                    hidden = modifiers(tokens, index - 1) & {"private", "fileprivate"}
                    if extends and not hidden:
                        self.added.add((body, token))
            elif before in ("<", ",") and following == ":" or before == "<" and tokens[index - 3] in GENERIC:
                self.own.add(token)  # a generic parameter
            elif before == ".":
                if not re.match(r"[A-Z]", tokens[index - 2]):
                    self.called.add(token)
            elif re.match(r"[A-Z]", token) and not (following == "=" and tokens[index + 2] == "="):
                self.uses.add((body, token))
                if following == ".":
                    self.qualified.add((token, tokens[index + 2]))


def path_of(tokens, index):
    """A name with dots that begins at a token."""
    path = tokens[index]
    while tokens[index + 1] == ".":
        index += 2
        path += "." + tokens[index]
    return path


def modifiers(tokens, index):
    """The words that stand directly before a declaration."""
    words = set()
    while index > 0 and tokens[index - 1] in MODIFIERS:
        index -= 1
        words.add(tokens[index])
    return words


def matrix(root):
    """For each folder and each other folder that it uses: the uses, as name -> files."""
    files = {}
    for path in sorted(pathlib.Path(root).rglob("*.swift")):
        parts = path.relative_to(root).parts
        files[path] = (parts[0] if len(parts) > 1 else TOP, File(path.read_text()))
    types, members, added, values = (collections.defaultdict(set) for _ in range(4))
    for folder, file in files.values():
        for name in file.types:
            types[name].add(folder)
        for name in file.members:
            members[name].add(folder)
        for owner, name in file.added:
            added[name].add((folder, owner))
        for name in file.locals:
            values[name].add(folder)
    uses = {folder: collections.defaultdict(lambda: collections.defaultdict(list)) for folder, _ in files.values()}
    for path, (folder, file) in files.items():
        found = collections.defaultdict(set)
        for body, name in file.uses:
            if name in file.own:
                continue
            # Inside of a type, the types nested in it come first.
            nested = [(body[: end.start()], name) for end in re.finditer(r"\.|$", body)] if body else []
            inner = next((pair for pair in nested if pair in members), None)
            found[".".join(inner) if inner else name] |= members[inner] if inner else types.get(name, set())
        for pair in file.qualified:
            if pair[0] not in file.own and pair[0] in types:
                found[".".join(pair)] |= members.get(pair, set())
        for name in file.called & added.keys():
            if len(values[name]) == 1 and name not in file.locals:
                found["." + name] |= {owner for owner, extended in added[name] if types.get(extended, set()) != {owner}}
        for name, owners in found.items():
            if folder not in owners:
                for owner in owners:
                    uses[folder][owner][name].append(path)
    return uses


def components(uses):
    """Folders that reach each other, as sets with two members or more (Tarjan would be faster, and longer)."""
    reach = {folder: set(others) for folder, others in uses.items()}
    for via in reach:
        for folder in reach:
            if via in reach[folder]:
                reach[folder] |= reach[via]
    return {frozenset(b for b in reach[a] if a in reach[b]) for a in reach if a in reach[a]}


def layered(uses):
    """Folders with the lowest first; members of a cycle stand together."""
    left, order = dict(uses), []
    rounds = {folder: component for component in components(uses) for folder in component}
    while left:
        ready = [f for f in sorted(left) if all(o not in left or o in rounds.get(f, ()) for o in uses[f])]
        order += ready
        for folder in ready:
            del left[folder]
        if not ready:  # a cycle whose members wait for each other and for others
            order.append(min(left))
            del left[order[-1]]
    return order


def show(root, uses):
    """One row for each folder, with the number of types that it uses of each folder."""
    order = layered(uses)
    width = max(map(len, order)) + 2
    print(f"{root}: row uses column, in types and members\n")
    print(" " * width + "".join(f"{index + 1:>4}" for index in range(len(order))))
    for index, folder in enumerate(order):
        cells = "".join(f"{len(uses[folder].get(other, ())) or '.':>4}" for other in order)
        print(f"{folder:<{width}}{cells}  {index + 1}")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--show", action="store_true", help="print only; cycles do not fail")
    parser.add_argument("--why", nargs=2, metavar=("FOLDER", "OTHER"), help="list the uses of OTHER in FOLDER")
    parser.add_argument("roots", nargs="+", metavar="TREE")
    options = parser.parse_args()
    cyclic = False
    for root in options.roots:
        uses = matrix(root)
        if not uses:
            parser.error(f"{root} has no Swift file")
        if options.why:
            for name, files in sorted(uses[options.why[0]][options.why[1]].items()):
                print(f"{name}: {', '.join(str(file) for file in files)}")
            continue
        show(root, uses)
        for cycle in components(uses):
            cyclic = True
            print(f"Cycle in {root}: {', '.join(sorted(cycle))}", file=sys.stderr)
            for folder in sorted(cycle):
                for other in sorted(cycle & set(uses[folder])):
                    names = sorted(uses[folder][other])
                    print(f"  {folder} uses {', '.join(names[:8])}{' ...' if len(names) > 8 else ''} of {other}", file=sys.stderr)
    sys.exit(1 if cyclic and not options.show else 0)


if __name__ == "__main__":
    main()
