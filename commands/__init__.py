"""The command line: its flags, its commands, and what they print."""

from collections.abc import Callable, Sequence

from foundations.registry import Registry

COMMANDS: Registry[Callable[[Sequence[str]], None]] = Registry(
    "command",
    {
        "train": "commands.train:train",
        "branch": "commands.branch:branch",
        "lottery": "commands.lottery:lottery",
        "iterative": "commands.iterative:iterative",
        "sweep": "commands.sweep:sweep",
        "run": "commands.run:run",
        "paper": "commands.paper:paper",
        "ls": "commands.ls:ls",
        "show": "commands.show:show_run",
        "status": "commands.status:status",
        "report": "commands.report:report",
        "eval": "commands.eval:evaluate_runs",
        "compact": "commands.compact:compact",
        "data": "commands.data:data",
        "import": "commands.import_:import_weights",
        "diff": "commands.diff:diff",
        "export": "commands.export:export",
        "clean": "commands.clean:clean_runs",
        "import-openlth": "commands.import_openlth:import_openlth",
    },
)
