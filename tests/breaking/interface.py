"""An interface in its own process, to be killed: `python -m tests.breaking.interface VERB ARG`.

submit '{"kind": …, "to": …, "ids": […], …}'    cancel <operation id>    archive <time>
"""

import json
import sys
from dataclasses import replace
from datetime import datetime

import lockside
from tests.breaking.observer import Observer
from tests.engine.archives import archive


def main(verb: str, argument: str) -> None:
    """Do what one of the interfaces does, watched by the gate."""
    with lockside.connect() as site:
        site.platform = replace(site.platform, step=Observer())
        if verb == "archive":
            archive(site, datetime.fromisoformat(argument))
        elif verb == "submit":
            site.transition(**json.loads(argument))
        else:
            site.operation(argument).cancel()


main(*sys.argv[1:])
