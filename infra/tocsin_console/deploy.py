"""`tocsin deploy`: ask what must be known, check it, build, deploy, and say what comes next.

What equals a default is not written into samconfig.toml: a later version may have a better one. Parameters
that have become settings are taken along before the update, so the new functions never run without them.
"""

from __future__ import annotations

import difflib
import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tocsin.settings import changes
from tocsin_console import caps as caps_of
from tocsin_console import doctor, trouble
from tocsin_console import settings as change_settings
from tocsin_console.audit import note
from tocsin_console.deployment import Deployment, Place
from tocsin_console.doctor.checks import FaultsFound
from tocsin_console.doctor.planned_quotas import QUOTA_REQUEST
from tocsin_console.errors import ConsoleError, Usage
from tocsin_console.former_parameters import FORMER, taken_over
from tocsin_console.output import Output, complain, counted
from tocsin_console.questions import QUESTIONS, REGION, STACK, Question, kept_by_default, parameters_of
from tocsin_console.samconfig import FILE, overrides, pairs, read_samconfig, with_deployment
from tocsin_console.stack_states import Kind, mend, state_of
from tocsin_console.template_defaults import DEFAULTS, Parameter, declared_parameters

Run = Callable[[Sequence[str], Mapping[str, str], Path], int]
MAX_TRIES = 5


@dataclass(frozen=True)
class Wanted:
    """`given`: parameters as `NAME=VALUE`."""

    given: Sequence[str] = ()
    yes: bool = False
    dry_run: bool = False
    despite_faults: bool = False


@dataclass(frozen=True)
class Plan:
    """`parameters`: for this deployment, all that differ from the template's defaults or from the stack as it
    is. `frozen`: those of them that samconfig.toml is to keep. `had`: what the stack was deployed with.
    `dropped`: what samconfig.toml overrides and the template has no more."""

    place: Place
    parameters: Mapping[str, str]
    frozen: Mapping[str, str]
    had: Mapping[str, str]
    dropped: Sequence[str] = ()


def deploy(
    place: Place,
    wanted: Wanted,
    output: Output,
    *,
    profile: str | None = None,
    folder: Path | None = None,
    run: Run | None = None,
) -> None:
    """Deploy from `folder` (default: the current one). Raises Usage, FaultsFound, ConsoleError."""
    folder, run = folder or Path.cwd(), run or run_command
    if not (folder / "template.yaml").is_file():
        raise Usage(f"there is no template.yaml in {folder}: go to the folder with Tocsin's sources first")
    plan = planned(place, wanted, folder, output)
    commands = commands_of(plan, profile)
    for environment, command in commands:
        shown = [f"{name}={value}" for name, value in environment.items()]
        output.say(f"$ {shlex.join([*shown, *command])}")
    output.record(
        {"stack": plan.place.stack, "region": plan.place.region, "parameters": dict(plan.parameters)}
    )
    if wanted.dry_run:
        _tell_dry_run(plan, output)
        return
    _examine(plan, wanted, folder, output)
    _keep(plan, folder, output)
    _take_over(plan, output)
    _carry_out(plan.place, commands, run, folder, output)
    # Of a stack that was not there before.
    _take_over(plan, output)
    _write_down(plan)
    stack = shlex.join(["--stack", plan.place.stack, "--region", plan.place.region])
    output.say(f"deployed. Check it: tocsin doctor {stack}")
    output.say(f"then link the WhatsApp account, if it isn't: tocsin pair {stack}")
    output.record({"deployed": True})


def planned(place: Place, wanted: Wanted, folder: Path, output: Output) -> Plan:
    """Ask what must be known. Raises Usage, ConsoleError."""
    try:
        given = overrides(list(wanted.given))
    except ValueError:
        raise Usage("--set needs NAME=VALUE") from None
    declared = declared_parameters((folder / "template.yaml").read_text(encoding="utf-8"))
    _demand_valid(given, declared)
    saved = read_samconfig(folder)
    place = _place(place, saved.stack, saved.region, wanted, output)
    found = place.look() or {}
    had = {one["ParameterKey"]: one.get("ParameterValue", "") for one in found.get("Parameters", ())}
    before = {**had, **saved.parameters, **given}
    asked = _ask(kept_by_default(before), given, wanted, output)
    chosen = {**saved.parameters, **parameters_of(asked, before), **given}
    chosen = {name: value for name, value in chosen.items() if name in declared}
    if had:
        chosen = {**_better_defaults(had, place.former_defaults()), **chosen}
    # Back to a default is said once: else SAM keeps what the stack has.
    caps = caps_of.fitting(place.free_executions(), {**saved.parameters, **given}, had)
    _tell_caps(caps, output)
    parameters = {
        name: value
        for name, value in {**chosen, **caps}.items()
        if {value} != {DEFAULTS.get(name), had.get(name, DEFAULTS.get(name))}
    }
    dropped = tuple(sorted(saved.parameters.keys() - declared))
    # Caps are the account's, and are looked up for each deployment.
    kept = parameters.keys() - caps.keys()
    frozen = {
        name: parameters[name]
        for name in parameters
        if name in kept and parameters[name] != DEFAULTS.get(name)
    }
    gone = {name: value for name, value in before.items() if name in FORMER}
    return Plan(place, parameters, frozen, {**had, **gone}, dropped)


def _tell_caps(caps: Mapping[str, str], output: Output) -> None:
    if not caps:
        return
    told = " ".join(pairs(caps))
    if caps == caps_of.SMALL or caps.items() <= caps_of.SMALL.items():
        output.say(f"Lambda runs few functions of this account at once, so this deployment has {told}")
        output.say(f"  until the quota is raised: {QUOTA_REQUEST}; then deploy again")
    else:
        output.say(f"the account's quota of Lambda was raised, so this deployment has {told} again")


def _better_defaults(had: Mapping[str, str], former: Mapping[str, str]) -> dict[str, str]:
    """What the stack has because it was the default, which is another one by now: SAM would keep the old."""
    return {
        name: default
        for name, default in DEFAULTS.items()
        if name in had and had[name] == former.get(name) != default
    }


def commands_of(plan: Plan, profile: str | None) -> list[tuple[dict[str, str], list[str]]]:
    """The commands that deploy it, each with the variables that it needs."""
    target = {
        variable: plan.parameters.get(name) or plan.had.get(name, DEFAULTS[name])
        for variable, name in (("TOCSIN_RUNTIME", "PythonRuntime"), ("TOCSIN_ARCHITECTURE", "Architecture"))
    }
    environment = {
        variable: value
        for (variable, value), name in zip(target.items(), ("PythonRuntime", "Architecture"), strict=True)
        if value != DEFAULTS[name]
    }
    deploying = ["sam", "deploy", "--no-confirm-changeset", "--stack-name", plan.place.stack]
    deploying += ["--region", plan.place.region]
    if profile:
        deploying += ["--profile", profile]
    if plan.parameters:
        deploying += [
            "--parameter-overrides",
            *pairs(plan.parameters),
        ]
    emulator = {"AWS_ENDPOINT_URL": plan.place.endpoint_url} if plan.place.endpoint_url else {}
    return [(environment, ["sam", "build"]), (emulator, deploying)]


def run_command(command: Sequence[str], environment: Mapping[str, str], folder: Path) -> int:
    """Run a command before the operator's eyes; return its exit code. Raises ConsoleError without it."""
    try:
        done = subprocess.run(list(command), cwd=folder, env={**os.environ, **environment}, check=False)
    except FileNotFoundError:
        raise ConsoleError(
            f"there is no '{command[0]}' on the PATH: install the SAM CLI (pipx install aws-sam-cli)"
        ) from None
    return done.returncode


# -- asking ------------------------------------------------------------------------------------------------


def _place(place: Place, stack: str | None, region: str | None, wanted: Wanted, output: Output) -> Place:
    """Where to deploy: what was typed counts, then samconfig.toml."""
    by_name = {STACK: place.stack if place.stack != "tocsin" else stack or place.stack}
    by_name[REGION] = region or place.region
    if not wanted.yes and output.can_ask:
        by_name = {
            question.about: _answer(replace(question, default=by_name[question.about]), output)
            for question in QUESTIONS[:2]
        }
    if not by_name[REGION]:
        raise Usage("no AWS region: pass --region, or set AWS_REGION or a profile with a region")
    place.session.set_config_variable("region", by_name[REGION])
    return replace(place, stack=by_name[STACK], region=by_name[REGION])


def _ask(
    defaults: Mapping[str, str], given: Mapping[str, str], wanted: Wanted, output: Output
) -> dict[str, str]:
    if wanted.yes:
        return {}
    if not output.can_ask:
        raise Usage("there is no terminal to ask on: add --yes to deploy with --set and the defaults")
    questions = (one for one in QUESTIONS[2:] if not given.keys() & parameters_of({one.about: ""}).keys())
    return {
        one.about: _answer(replace(one, default=defaults.get(one.about, one.default)), output)
        for one in questions
    }


def _answer(question: Question, output: Output) -> str:
    """A valid answer. Raises ConsoleError after too many that are none."""
    for _ in range(MAX_TRIES):
        typed = output.ask(f"{question.text} [{question.default or 'none'}]: ")
        if not typed:
            raise ConsoleError("nothing was deployed")
        answer = typed.strip()
        answer = question.default if not answer else "" if answer == "none" else answer
        problem = question.problem(answer)
        if not problem:
            return answer
        output.say(f"  {problem}")
    raise ConsoleError("nothing was deployed: no valid answer")


def _demand_valid(given: Mapping[str, str], declared: Mapping[str, Parameter]) -> None:
    """Raises Usage for a parameter that has become a setting, or for a value that can't be valid."""
    for name, value in given.items():
        if name in FORMER:
            setting, audience = FORMER[name]
            scope = f" --audience {audience}" if audience else ""
            raise Usage(f"{name} is a setting now: tocsin settings set {setting} {value}{scope}")
        if name not in declared:
            close = difflib.get_close_matches(name, declared, 1)
            raise Usage(f"the template has no parameter {name}" + (f"; {close[0]}?" if close else ""))
        for question in QUESTIONS:
            if question.about == name and (problem := question.problem(value)):
                raise Usage(f"{name}: {problem}")
        # Before a build of minutes: CloudFormation would say it only after that.
        if problem := declared[name].problem(value):
            raise Usage(f"{name}: {problem}")


# -- doing -------------------------------------------------------------------------------------------------


def _tell_dry_run(plan: Plan, output: Output) -> None:
    for name, value, scope in taken_over(plan.had).changes:
        output.say(f"would set: {name} {value} ({scope})")
    kept = " ".join(pairs(plan.frozen)) or "no parameters"
    output.say(f"would keep in {FILE}: {kept}")
    output.say("nothing was done (--dry-run)")


def _examine(plan: Plan, wanted: Wanted, folder: Path, output: Output) -> None:
    try:
        doctor.before_deploy(plan.place, output, plan.parameters, folder)
    except FaultsFound as found:
        if not wanted.despite_faults:
            raise ConsoleError(f"{found}; nothing was deployed (--despite-faults goes on)") from None


def _keep(plan: Plan, folder: Path, output: Output) -> None:
    """Have samconfig.toml say what was chosen, so that `sam deploy` alone does the same the next time."""
    path = folder / FILE
    text = path.read_text(encoding="utf-8") if path.exists() else "version = 0.1\n"
    changed = with_deployment(text, plan.place.stack, plan.place.region, plan.frozen)
    if changed != text:
        path.write_text(changed, encoding="utf-8")
        output.say(f"{FILE} keeps stack, region and {counted(len(plan.frozen), 'parameters')} of your own")
    for name in plan.dropped:
        why = f"the setting {FORMER[name][0]} now" if name in FORMER else "a parameter of earlier versions"
        output.say(f"{name} is {why}: {FILE} names it no more")


def _write_down(plan: Plan) -> None:
    """Who deployed: names of parameters alone, for values may be anybody's. An emulator's stack may be gone
    again, and a stack of somebody else's template has no table."""
    named = ", ".join(sorted(plan.parameters)) or "none"
    try:
        note(Deployment.at(plan.place), f"deployed the stack; parameters set: {named}")
    except ConsoleError as refusal:
        complain(f"tocsin: it is deployed, but who did it could not be written down: {refusal}")


def _carry_out(
    place: Place,
    commands: Sequence[tuple[Mapping[str, str], Sequence[str]]],
    run: Run,
    folder: Path,
    output: Output,
) -> None:
    """Run the commands, which show themselves how far they are. Raises ConsoleError for one that fails."""
    for number, (environment, command) in enumerate(commands, 1):
        if output.in_terminal:
            output.say(f"step {number} of {len(commands)}: {' '.join(command[:2])}")
        code = run(command, environment, folder)
        if code:
            left = "nothing was deployed" if command[1] == "build" else _left_by_failure(place)
            raise ConsoleError(
                f"'{command[0]} {command[1]}' ended with exit code {code}; its output says why. {left}"
            )


def _left_by_failure(place: Place) -> str:
    """What a deployment that failed left: what runs now, and the command that leads on."""
    try:
        found = place.look()
    except (BotoCoreError, ClientError) as error:
        return f"What it left can't be seen: {trouble.sentence(error, where=f'region {place.region}')}"
    if found is None:
        return "There is no stack: nothing was made"
    status = found["StackStatus"]
    state = state_of(status)
    if state.kind is Kind.WELL:
        return f"The stack is {status}: nothing was changed"
    return f"The stack is {status}: {state.means}. {mend(status, place.stack)}"


def _take_over(plan: Plan, output: Output) -> None:
    """Set what the running stack had as parameters, unless it was set since. Raises ConsoleError."""
    taken = taken_over(plan.had)
    for one in taken.unreadable:
        output.say(f"{one} means nothing, so it isn't taken along")
    found = plan.place.look()
    if found is None or not taken.changes:
        return
    deployment = Deployment.at(plan.place)
    current: Mapping[str, Any] = changes.read_current(deployment.outside_table).values
    missing = [
        change_settings.Change(name, value, scope)
        for name, value, scope in taken.changes
        if str(scope) not in current.get(name, {})
    ]
    if missing:
        output.say("parameters that are settings now are taken along:")
        change_settings.change(deployment, missing, output)
