#!/usr/bin/env python3
"""Makes the manual pages and the completion of bash out of what the programs say of themselves:

    manual.py GEMLET GEMLET_PACK FOLDER     writes gemlet.1, gemlet-pack.1 and gemlet.bash
    manual.py --check GEMLET GEMLET_PACK FOLDER    fails where those of FOLDER are others
"""
import re
import subprocess
import sys
from pathlib import Path

FILES = ("FILE", "DIR", "FOLDER", "MODEL.gguf", "MMPROJ.gguf", "OUT.gguf")


def help_of(*command):
    return subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout


def options_of(text):
    """(name, value, what it does) of the lines "  --name VALUE   what", and of lines that go on with the last one."""
    options = []
    for line in text.splitlines():
        option = re.match(r"  (-\S+) ?((?:[A-Z]\S*|\S+\|\S+)?) {1,}(.*)", line)
        if option:
            options.append(list(option.groups()))
        elif options and line.startswith("   ") and line.strip():
            options[-1][2] += " " + line.strip()
    return options


def roff(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line.startswith((".", "'")) else line for line in text.splitlines())


def option_list(options):
    lines = []
    for name, value, what in options:
        lines += [".TP", f".B {roff(name)}" + (f"\n.I {roff(value)}" if value else ""), roff(what)]
        if value:
            lines[-2] = f".BI {roff(name)} \" {roff(value)}\""
    return lines


def version_of(program):
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


def gemlet_page(program, commands):
    version = version_of(program)
    lines = [f'.TH GEMLET 1 "" "gemlet {version}" "User Commands"', ".SH NAME", r"gemlet \- ask Gemma\-class vision\-language models, in fixed memory", ".SH SYNOPSIS", ".B gemlet", r".I COMMAND",
             ".RI [ OPTION ...]", ".SH DESCRIPTION",
             "gemlet runs one packed model file, which gemlet\\-pack(1) makes: it answers prompts and questions about pictures and cameras, on\nthe processor alone, in memory that is planned before it starts.",
             ".SH COMMANDS"]
    for name, what, text in commands:
        lines += [f".SS gemlet {name}", roff(what[0].upper() + what[1:]) + ".", ".PP", roff(text.splitlines()[0])] + option_list(options_of(text))
    lines += [".SH EXIT STATUS", "0 where all went well, 1 where something failed, 2 where the command line is not understood.", ".SH EXAMPLES", ".nf",
              'gemlet run \\-m model.gguf \\-p "What is a ring?"', 'gemlet run \\-m model.gguf \\-\\-image picture.jpg \\-p "What is this?"',
              'gemlet camera \\-m model.gguf \\-\\-device /dev/video0 \\-p "Is the door open?"', ".fi", ".SH SEE ALSO", ".BR gemlet\\-pack (1)"]
    return "\n".join(lines) + "\n"


def pack_page(program, text):
    version = version_of(program)
    usage = [line for line in text.splitlines() if line.startswith("gemlet-pack ")]
    about = text.split("\n\n")[1]
    lines = [f'.TH GEMLET-PACK 1 "" "gemlet {version}" "User Commands"', ".SH NAME", r"gemlet\-pack \- pack a model for gemlet", ".SH SYNOPSIS"]
    for line in usage:
        lines += [roff(line), ".br"]
    lines += [".SH DESCRIPTION", roff(about), ".SH OPTIONS"] + option_list(options_of(text))
    lines += [".SH EXIT STATUS", "0 where all went well, 1 where something failed, 2 where the command line is not understood.", ".SH EXAMPLES", ".nf",
              "gemlet\\-pack \\-\\-hf gemma\\-4\\-E2B\\-it \\-o e2b.gguf", "gemlet\\-pack \\-\\-text gemma\\-3n\\-E2B\\-it\\-Q4_0.gguf \\-\\-mmproj mmproj.gguf \\-o e2b.gguf", ".fi", ".SH SEE ALSO", ".BR gemlet (1)"]
    return "\n".join(lines) + "\n"


def words(options):
    return " ".join(name for name, _, _ in options)


OFFER_FILES = 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$word"); return'


def case(value):
    """What may stand behind an option: a file, one of some words, or whatever the user likes."""
    if value in FILES:
        return f"{OFFER_FILES} ;;"
    if "|" in value and not value.endswith("..."):
        return f'mapfile -t COMPREPLY < <(compgen -W "{value.replace("|", " ")}" -- "$word"); return ;;'
    return "return ;;" if value else ""


def cases(commands):
    """`commands`: each with its options.  An option that means different things has a line for each command."""
    meanings = {}
    for command, options in commands:
        for name, value, _ in options:
            meanings.setdefault(name, {})[command] = case(value)
    lines = []
    for name, of in meanings.items():
        if len(set(of.values())) == 1:
            lines.append((f'*" {name}"', next(iter(of.values()))))
        else:
            lines += [(f'"{command} {name}"', what) for command, what in of.items()]
    return [f"        {pattern}) {what}" for pattern, what in sorted(lines) if what]


def completion(commands, pack_text):
    pack = options_of(pack_text)
    for usage in re.findall(r"(--?[a-z]+) ([A-Z][A-Z.a-z]+)", pack_text.split("\n\n")[0]):
        pack.append([usage[0], usage[1], ""])
    lines = ["# bash completion of gemlet and gemlet-pack, made by packaging/manual.py of what they say of themselves", "", "_gemlet() {", "    local word=${COMP_WORDS[COMP_CWORD]} options", "    COMPREPLY=()",
             "    if [ \"$COMP_CWORD\" = 1 ]; then", f'        mapfile -t COMPREPLY < <(compgen -W "{" ".join(name for name, _, _ in commands)} --help --version" -- "$word")', "        return", "    fi",
             "    case \"${COMP_WORDS[1]} ${COMP_WORDS[COMP_CWORD-1]}\" in"] + cases([(name, options_of(text)) for name, _, text in commands]) + ["    esac", "    case ${COMP_WORDS[1]} in"]
    for name, _, text in commands:
        alone = '[[ $word == -* ]] || { ' + OFFER_FILES + "; }; " if "its name alone is enough" in " ".join(text.split()) else ""
        lines.append(f'        {name}) {alone}options="{words(options_of(text))} --help" ;;')
    lines += ["        *) return ;;", "    esac", '    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")', "}", "", "_gemlet_pack() {", "    local word=${COMP_WORDS[COMP_CWORD]}", "    COMPREPLY=()",
              "    case \" ${COMP_WORDS[COMP_CWORD-1]}\" in"] + cases([("", pack)]) + ["    esac", f'    mapfile -t COMPREPLY < <(compgen -W "{" ".join(sorted({name for name, _, _ in pack} | {"--help"}))}" -- "$word")', "}", "",
              "complete -F _gemlet gemlet", "complete -F _gemlet_pack gemlet-pack"]
    return "\n".join(lines) + "\n"


def main():
    check = sys.argv[1] == "--check"
    program, packer, folder = sys.argv[1 + check:]
    commands = [(name, what, help_of(program, name)) for name, what in re.findall(r"^  ([a-z]+) +(.*)$", help_of(program), re.M)]
    pack_text = help_of(packer)
    files = {"gemlet.1": gemlet_page(program, commands), "gemlet-pack.1": pack_page(packer, pack_text), "gemlet.bash": completion(commands, pack_text)}
    failed = False
    for name, text in files.items():
        path = Path(folder) / name
        if not check:
            path.write_text(text)
        elif path.read_text() != text:
            print(f"{path} is not what the programs say of themselves: packaging/manual.py writes it anew")
            failed = True
    for name, _, text in commands:
        options = options_of(text)
        named = set(re.findall(r"^  (-\S+)", text, re.M))
        if named != {option[0] for option in options} or len(options) < 3:
            print(f"gemlet {name} --help: not all options are understood")
            failed = True
    return 1 if failed else 0


sys.exit(main())
