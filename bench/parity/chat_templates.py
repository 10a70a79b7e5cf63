"""Renders conversations with mergekit's chat templates and with what `smelt import` makes of their names, and compares them.

`bench/.venv/bin/python bench/parity/chat_templates.py`; needs a build of smelt.
"""

import importlib.resources
import itertools
import json
import subprocess
import sys
from pathlib import Path

from mergekit._data import chat_templates
from transformers.utils.chat_template_utils import _compile_jinja_template

MODULE = Path(__file__).parent.parent.parent / "dist" / "importers" / "mergekit" / "chat-templates.js"
ROLES = ["system", "user", "assistant", "user_context"]
CONTENTS = ["plain", "  blanks around \n", "", "two\n\nlines {{ braces }}"]


def rendered(template, messages, prompt):
    try:
        return template.render(messages=messages, add_generation_prompt=prompt, bos_token="<s>", eos_token="</s>")
    except Exception as error:
        return type(error).__name__


def main():
    script = f"import({json.dumps(MODULE.as_uri())}).then((m) => console.log(JSON.stringify([...m.CHAT_TEMPLATES])))"
    ours = dict(json.loads(subprocess.run(["node", "-e", script], check=True, capture_output=True, text=True).stdout))
    folder = importlib.resources.files(chat_templates)
    theirs = {Path(str(f)).stem: f.read_text() for f in folder.iterdir() if str(f).endswith(".jinja")}
    wrong = sorted(set(ours) ^ set(theirs))
    conversations = 0
    for name in sorted(set(ours) & set(theirs)):
        own, other = _compile_jinja_template(ours[name]), _compile_jinja_template(theirs[name])
        for length in range(1, 5):
            for roles in itertools.product(ROLES, repeat=length):
                messages = [{"role": role, "content": CONTENTS[i % 4]} for i, role in enumerate(roles)]
                for prompt in [False, True]:
                    conversations += 1
                    if rendered(own, messages, prompt) != rendered(other, messages, prompt):
                        wrong.append(f"{name}: {roles}")
    print(f"{len(ours)} templates, {conversations} conversations, {len(wrong)} differ", *wrong[:5], sep="\n    ")
    sys.exit(len(wrong) > 0)


if __name__ == "__main__":
    main()
