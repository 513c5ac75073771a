"""Every setting is checked before the first second of work: nothing is trained, played or written.

For each command, wrong values of the settings that are used late; each must end in one sentence,
exit status 2, and leave the folder of runs as it was.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from misgen.agents.config import PPOConfig
from misgen.envs.core.errors import UserError
from misgen.envs.make import distribution
from misgen.experiments.commands.cli import main
from misgen.experiments.protocols.comparison import population, trained
from misgen.experiments.protocols.comparison.config import read_config
from misgen.experiments.protocols.comparison.population import Member, PopulationConfig, Reference
from misgen.experiments.training import checks
from misgen.experiments.training.config import TrainConfig
from misgen.experiments.training.train import train

WORLD = {"name": "cheese_on_a_dish"}
TINY = PPOConfig(total_steps=64, num_envs=8, num_steps=8, batch_size=64, epochs=1, hidden=[8])


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two finished runs that were not evaluated, in runs/s, and a folder that is none."""
    folder = tmp_path_factory.mktemp("checked") / "runs"
    for seed in (0, 1):
        config = TrainConfig(WORLD, TINY, seed=seed, runs=str(folder), name="s")
        made = train(config).path
        made.rename(made.with_name(f"seed{seed}"))
    (folder / "file").write_text("a file")
    return folder


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Return what lies in a folder, and when each file was written."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_size)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


RUN, SWEEP = "run=runs/s/seed0", "run=runs/s"
SMOKE = "size=smoke"
SMALL = "agent.total_steps=128 agent.num_envs=8 agent.num_steps=8 agent.batch_size=64"
CASES = [
    # What is asked for is not there.
    ("train logger=tensorboard", "needs the package tensorboard"),
    ("train agent.device=cuda:77", "agent.device=cuda:77 cannot be used"),
    ("train tuning=nonsense", "tuning=nonsense is not known"),
    (
        "train launcher=nonsense",
        "launcher=nonsense has no effect in misgen train: it counts only with -m",
    ),
    (
        "train launcher=joblib",
        "launcher=joblib has no effect in misgen train: it counts only with -m",
    ),
    ("train init=runs/none", "runs/none"),
    # What would not work, or learn nothing.
    ("train env.observation=grid agent.encoder=nature", "encoder='nature' reads pixels"),
    ("train env.observation=rgb", "reads tile windows"),
    ("train preset=lab agent.total_steps=8192", "is one rollout of 8192 decisions"),
    (f"train init=runs/s/seed0 preset=none env=cheese_on_a_dish {SMALL}", "agent.hidden="),
    ("train init=runs/s/seed0 env=coinrun agent.hidden=[8]", "the policy was trained with"),
    ("train runs=runs/file", "runs=runs/file cannot be written to"),
    ("train runs=/proc/none", "runs=/proc/none cannot be written to"),
    # Several runs at once.
    ("train -m launcher=nonsense seed=0,1", "launcher=nonsense is not known"),
    ("train -m seed=0,abc", "seed='abc' must be a whole number"),
    ("train -m seed=0 correlation=1,2", "correlation=2.0 is out of range"),
    ("train -m env=coinrun,nope", "env=nope is not known"),
    ("train -m preset=smoke logger=none,tensorboard", "needs the package tensorboard"),
    ("train -m placement=anywhere,nowhere", "placement='nowhere' is not known"),
    ("train -m seed=1,2 levels.train=0:10,0:3000000", "share level ids"),
    ("train -m nonsense", "'nonsense' is not a setting"),
    ("train -m --nonsense", "'--nonsense' is not a setting"),
    ("train -m seed=0,1 nonsense=3", "nonsense=3 is not a known setting"),
    ("train -m seed=0,1 runs=runs/file", "cannot be written to"),
    ("train -m seed=range(0,3) correlation=7", "correlation=7.0 is out of range"),
    ("evaluate -m run=runs/s/seed0,runs/none", "runs/none/manifest.json does not exist"),
    (f"evaluate -m {RUN} levels=400000000:400000010,5:7", "share level ids"),
    (f"evaluate -m {RUN} launcher=nonsense", "launcher=nonsense is not known"),
    (f"evaluate -m {RUN} on_proxy=end,never", "on_proxy='never' is not known"),
    # Evaluations.
    ("evaluate run=runs/none", "runs/none/manifest.json does not exist"),
    (f"evaluate {RUN} levels=400000000:400000010", "levels.train=400000000:400100000"),
    (f"evaluate {RUN} shift.placements=[nowhere]", "nowhere"),
    (f"evaluate {RUN} backend=procgen", "procgen"),
    (f"evaluate {RUN} launcher=joblib", "launcher=joblib has no effect in misgen evaluate"),
    (f"evaluate {SWEEP}", "holds 2 runs"),
    (f"evaluate {SWEEP} shift=surface levels=400000000:400000009", "share level ids"),
    (f"evaluate {SWEEP} shift=surface shift.parameters=[nope]", "nope"),
    (f"evaluate protocol=iid {RUN} comparison=runs/none", "holds no comparison.csv"),
    (f"evaluate protocol=iid {RUN} comparison=runs/s", "holds no comparison.csv"),
    (f"evaluate protocol=nope {RUN}", "protocol='nope' is not known"),
    (f"evaluate protocol=iid {RUN} budgets=[0]", "budgets=0 is out of range"),
    (f"evaluate protocol=iid {RUN} actions=best", "actions='best' is not known"),
    (f"evaluate protocol=iid {RUN} protocol.options.nope=1", "nope"),
    (f"evaluate protocol=iid {RUN} protocol.method=no.module:X", "protocol.method='no.module:X'"),
    (
        f"evaluate protocol=iid {RUN} protocol.method=no.module:X trust=true",
        "protocol.method='no.module:X' of protocol iid cannot be loaded",
    ),
    # Sweeps.
    (
        "sweep evaluate.levels=400000000:400000010",
        "levels.train=400000000:400100000 and evaluate.levels=400000000:400000010 share",
    ),
    ("sweep evaluate.shift.placements=[nowhere]", "nowhere"),
    ("sweep evaluate.backend=procgen env=lava_land", "procgen"),
    ("sweep +evaluate.shift.parameters=[all]", "a sweep's evaluations are no surface"),
    ("sweep logger=tensorboard", "needs the package tensorboard"),
    ("sweep launcher=joblib", "launcher='joblib' is not known: use one of local, slurm"),
    ("sweep launcher=nonsense", "launcher='nonsense' is not known"),
    ("sweep launcher=slurm cluster.minutes=0", "cluster.minutes=0 is out of range"),
    ("sweep launcher=slurm cluster.memory=0", "cluster.memory=0.0 is out of range"),
    ("sweep seeds=until until.first=3", "until.first=3 is out of range"),
    ("sweep tuning=nonsense", "tuning=nonsense is not known"),
    ("sweep preset=lab agent.total_steps=5000", "nothing would be learned"),
    ("sweep env.observation=rgb", "reads tile windows"),
    ("sweep runs=runs/file", "cannot be written to"),
    ("sweep init=runs/none", "runs/none"),
    ("sweep jobs=0", "jobs=0 is out of range"),
    # Of all runs of a sweep, before the first.
    (f"objective {SWEEP} levels=400000000:400000010", "share level ids"),
    (f"objective {SWEEP} placement=nowhere", "placement='nowhere' is not known"),
    ("objective run=runs/none", "runs/none/manifest.json does not exist"),
    (f"robustness {SWEEP} levels=400000000:400000010", "share level ids"),
    (f"robustness {SWEEP} placement=nowhere", "placement='nowhere' is not known"),
    ("robustness run=runs/none", "runs/none/manifest.json does not exist"),
    (f"probe {RUN}", "the critic of an agent of cheese_on_a_dish cannot be probed"),
    ("probe run=runs/none", "runs/none/manifest.json does not exist"),
    # What would have no effect beside the other settings.
    (f"robustness {RUN} worth=0.1", "worth=0.1 has no effect in misgen robustness: it is for per="),
    (f"robustness {RUN} flips=[0] target=value", "target=value has no effect"),
    (f"robustness {RUN} flips=[] candidates=3", "candidates=3 has no effect"),
    (f"objective {RUN} actions=greedy seed=3", "seed=3 has no effect in misgen objective"),
    (
        f"objective {RUN} objective.likelihood.betas=1 objective.likelihood.beta_high=2",
        "objective.likelihood.beta_high=2 has no effect",
    ),
    (f"probe {RUN} actions=greedy seed=3", "seed=3 has no effect in misgen probe"),
    ("supply-chain base=runs/s/seed0 most=2", "most=2 has no effect in misgen supply-chain"),
    ("supply-chain base=runs/s/seed0 base_correlation=0.5", "base_correlation=0.5 has no effect"),
    ("evaluate power sweep=runs/s seed_sd=0.3", "seed_sd=0.3 has no effect in misgen evaluate p"),
    (f"evaluate {RUN} actions=[greedy] repeats=3", "repeats=3 has no effect"),
    (f"evaluate {RUN} shift=surface backend=procgen", "backend=procgen has no effect"),
    (f"evaluate {RUN} shift=surface references=false", "references=false has no effect"),
    (f"evaluate {RUN} shift=surface repeats=3", "repeats=3 has no effect"),
    (f"evaluate {RUN} shift=surface verdict.room=0.2", "verdict.room=0.2 has no effect"),
    (f"evaluate {RUN} shift=surface actions=[sampled,greedy]", "a surface plays one action mode"),
    (f"evaluate protocol=iid {RUN} levels=runs/file replicate=2", "replicate=2 has no effect"),
    ("levels play agent=random greedy=true seed=3", "seed=3 has no effect in misgen levels play"),
    ("levels play actions=R trust=true", "trust=true has no effect in misgen levels play"),
    (
        f"compare {SMOKE} population.short_steps=[] population.short_correlations=[0.5]",
        "population.short_correlations=[0.5] has no effect",
    ),
    ("train agent.normalize_reward=true agent.reward_scale=0.5", "agent.reward_scale=0.5 has no"),
    ("train env.observation=rgb agent.encoder=impala agent.fast=true", "agent.fast=true has no"),
    ("sweep env.observation=rgb agent.encoder=nature agent.fast=false", "agent.fast=false has no"),
    ("train agent=dqn save_every=1", "save_every=1 has no effect in misgen train"),
    ("sweep agent.normalize_reward=true agent.reward_scale=0.5", "agent.reward_scale=0.5 has no"),
    ("sweep evaluate.actions=[greedy] evaluate.repeats=3", "evaluate.repeats=3 has no effect"),
    ("validate runs=runs/file", "runs=runs/file cannot be written to"),
    ("validate first_level=2147483640", "is not a range of level ids"),
    ("validate placements=[nowhere]", "nowhere"),
    ("report runs/none", "runs/none"),
    (f"card {SWEEP} comparison=runs/none", "comparison=runs/none holds no comparison.csv"),
    (f"card {SWEEP} supply_chain=runs/none", "supply_chain=runs/none is not a folder"),
    ("card run=runs/none", "runs/none/manifest.json does not exist"),
    # Fine-tuning.
    ("supply-chain base=runs/none", "runs/none/manifest.json does not exist"),
    ("supply-chain base=runs/s levels=400000000:400000010", "share level ids"),
    ("supply-chain base=runs/s placement=nowhere", "placement='nowhere' is not known"),
    ("supply-chain base=runs/s base_correlation=0.3", "no finished run at correlation 0.3"),
    ("supply-chain base=runs/s steps=100 snapshots=[200]", "snapshots=200 is out of range"),
    ("supply-chain base=runs/s runs=runs/file", "cannot be written to"),
    # Comparisons.
    (f"compare {SMOKE} agents=[xyz]", "agents: 'xyz' matches no agent: use words in rho1-seed0"),
    (f"compare {SMOKE} agents=[random,xyz]", "'xyz' matches no agent"),
    (f"compare {SMOKE} agents=[]", "agents=[] is empty: give some"),
    (f"compare {SMOKE} protocols=[nope]", "protocol='nope' is not known"),
    (f"compare {SMOKE} protocols=[runs/none.yaml]", "runs/none.yaml"),
    (f"compare {SMOKE} truth.placements=[nowhere]", "nowhere"),
    (f"compare {SMOKE} placement=nowhere", "nowhere"),
    (f"compare {SMOKE} correlations=[2]", "correlation=2"),
    (f"compare {SMOKE} steps=10 preset=lab", "nothing would be learned"),
    (
        f"compare {SMOKE} population.short_steps=[99999999]",
        "is not shorter than the other trainings",
    ),
    (f"compare {SMOKE} population.short_steps=[10,20]", "so one agent"),
    (
        f"compare {SMOKE} population.train=false population.constructed.correlations=[]",
        "holds no finished run of this population",
    ),
    (f"compare {SMOKE} population.constructed.noises=[0.9]", "population.constructed.noises=0.9"),
    (f"compare {SMOKE} population.constructed.lapses=[]", "population.constructed.lapses=[]"),
    (f"compare {SMOKE} population.constructed.copies=0", "population.constructed.copies=0"),
    (f"compare {SMOKE} truth.repeats=0", "truth.repeats=0"),
    (f"compare {SMOKE} runs=runs/file", "cannot be written to"),
    ("compare env=nope", "env=nope is not known: use one of cheese_on_a_dish"),
    ("compare preset=nope", "preset=nope is not known: use one of lab"),
    ("compare env=lava_land preset=smoke", "give smaller ones, or population.short_steps=[]"),
    ("compare env=lava_land agents=[xyz]", "use words in rho1-seed0"),
    (f"compare {SMOKE} jobs=0", "jobs=0 is out of range"),
    # Levels.
    ("levels export ids=all out=a.npz", "a file takes 50000 at most"),
    ("levels export out=nowhere/a.npz", "give a .npz in a folder that exists"),
    ("levels replay out=a.npz actions=none.npz", "none.npz"),
    ("levels play agent=goal_seeker out=nowhere/a.gif", "nowhere/a.gif"),
    ("levels edit out=nowhere/a.txt", "nowhere/a.txt"),
    ("levels verify ids=9:3 env=procgen_maze", "is not a range of level ids"),
]


@pytest.mark.parametrize(("line", "message"), CASES, ids=[line for line, _ in CASES])
def test_nothing_is_begun_that_cannot_be_done(line, message, runs, monkeypatch, capsys):
    monkeypatch.chdir(runs.parent)
    before = state_of(runs.parent)
    monkeypatch.setattr(subprocess, "Popen", _no_work)
    monkeypatch.setattr(importlib.util, "find_spec", _without_tensorboard)
    command, *argv = line.split(" ")
    status = main([command, *argv])
    _, err = capsys.readouterr()
    assert (status, message in err) == (2, True), err
    assert err.startswith(f"misgen {command}: ")
    assert len(err.strip().splitlines()) == 1
    assert state_of(runs.parent) == before


def _without_tensorboard(name: str, package: str | None = None) -> ModuleSpec | None:
    return None if name == "tensorboard" else find_spec(name, package)


def _no_work(*_: object, **__: object) -> None:
    raise AssertionError("work was begun")


def test_an_unfinished_run_of_a_sweep_is_named_before_the_others_are_worked_on(
    runs, tmp_path, monkeypatch, capsys
):
    shutil.copytree(runs, tmp_path / "runs")
    (tmp_path / "runs/s/seed1/DONE").unlink()
    monkeypatch.chdir(tmp_path)
    before = state_of(tmp_path)
    for command in ("objective", "robustness", "evaluate"):
        words = [SWEEP, "shift=surface"] if command == "evaluate" else [SWEEP]
        assert main([command, *words]) == 2
        assert "seed1 is not a finished run" in capsys.readouterr().err
    assert state_of(tmp_path) == before


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_disk_that_is_full_and_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda path: SimpleNamespace(free=3_000_000))
    with pytest.raises(UserError, match="runs=r is on a disk with 3 MB left"):
        checks.require_room(tmp_path / "r", "runs", "r")
    monkeypatch.undo()
    checks.require_room(tmp_path / "a" / "b", "runs", "a")
    assert not list(tmp_path.iterdir())


def test_a_job_that_fails_late_is_a_sentence_and_stops_no_other(runs, tmp_path):
    """A second writer holds one of two runs; the other is trained."""
    words = ["env=cheese_on_a_dish", "agent.total_steps=64", "agent.num_envs=8",
             "agent.num_steps=8", "agent.batch_size=64", "agent.anneal=false",
             f"runs={tmp_path}"]  # fmt: skip
    code = (
        "import sys\n"
        "from misgen.envs.core.errors import UserError\n"
        "from misgen.experiments.commands import train\n"
        "from misgen.experiments.commands.common import multirun\n"
        "sys.exit(multirun('train', 'late_job:run', sys.argv[1:], None))\n"
    )
    (tmp_path / "late_job.py").write_text(
        "from misgen.envs.core.errors import UserError\n"
        "from misgen.experiments.commands.train import run_job\n"
        "def run(plain):\n"
        "    if plain['seed'] == 0:\n"
        "        raise UserError('the disk of seed 0 is full')\n"
        "    run_job(plain)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "-m", "seed=0,1", *words],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "misgen train: the disk of seed 0 is full" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(list((tmp_path / "single").glob("*seed1*/DONE"))) == 1


def test_snapshots_that_are_rounded_are_told_and_recorded(tmp_path, capsys):
    words = ["env=cheese_on_a_dish", "agent.total_steps=256", "agent.num_envs=8",
             "agent.num_steps=8", "agent.batch_size=64", f"runs={tmp_path}"]  # fmt: skip
    assert main(["train", *words, "snapshots=[0,100,128]"]) == 0
    assert "100 after 128" in capsys.readouterr().err
    (manifest,) = tmp_path.glob("single/*/manifest.json")
    assert json.loads(manifest.read_text())["snapshots"] == {"0": 0, "100": 128, "128": 128}
    folders = sorted(path.name for path in (manifest.parent / "snapshots").iterdir())
    assert folders == ["000000000", "000000128"]


@pytest.mark.parametrize(
    ("steps", "anneal", "learns"),
    [(64, True, False), (65, True, True), (1, True, False), (64, False, True)],
)
def test_a_training_whose_learning_rate_is_never_above_0_is_none(steps, anneal, learns):
    config = PPOConfig(
        total_steps=steps, num_envs=8, num_steps=8, batch_size=64, anneal=anneal, hidden=[8]
    )
    assert config.learns == learns
    if not learns:
        with pytest.raises(UserError, match="nothing would be learned"):
            checks.require_learning(config)


def test_a_training_that_learns_by_the_rule_does_change_its_weights(tmp_path):
    """The rule, held against weights: one rollout, annealed, leaves them as they were."""
    from misgen.agents.ppo import train_ppo
    from misgen.envs.core.views.sb3 import MisgenVecEnv

    def moved(**changes) -> bool:
        plain = {"num_envs": 8, "num_steps": 8, "batch_size": 64, "hidden": [8], **changes}
        config = PPOConfig(**plain)
        run = TrainConfig(WORLD, config)
        kept = []

        def keep(learned) -> None:
            kept.append([p.detach().clone() for p in learned.network.parameters()])

        train_ppo(MisgenVecEnv(run.distribution, 8, 0), config, 0, snapshot=keep)
        return any(bool((a != b).any()) for a, b in zip(kept[0], kept[-1], strict=True))

    for steps, anneal in ((64, True), (128, True), (64, False)):
        config = PPOConfig(
            total_steps=steps, num_envs=8, num_steps=8, batch_size=64, hidden=[8], anneal=anneal
        )
        assert moved(total_steps=steps, anneal=anneal) == config.learns


def test_short_trainings_are_not_annealed():
    plain = {"size": "full"}
    from misgen.experiments.training.settings import compose

    config = read_config(compose("compare", [f"{k}={v}" for k, v in plain.items()])).population
    runs = trained.short_runs(config, trained.sweep_of(config))
    assert len(runs) == 4
    assert all(run.agent.learns and not run.agent.anneal for run in runs)
    words = trained._short_words(config, trained.sweep_of(config), 16384)
    assert "agent.anneal=false" in words


def test_two_agents_that_are_one_count_once():
    def member(name: str, policy: str, reference: Reference | None = None) -> Member:
        levels = distribution("coinrun")
        return Member(name, name, levels, ("runs/none",), (policy,), reference)

    noisy = Reference("noisy", "trained", noise=0.1)
    found = population.distinct(
        [
            member("a", "1"),
            member("a again", "1"),
            member("b", "2"),
            member("noisy a", "1", noisy),
            member("noisy a again", "1", Reference("other", "trained", noise=0.1)),
            member("noisier", "1", Reference("noisier", "trained", noise=0.2)),
        ]
    )
    assert [one.name for one in found.values()] == ["a", "b", "noisy a", "noisier"]


def test_references_that_cannot_be_made_are_told():
    sweep = ("env=cheese_on_a_dish", "preset=smoke", "correlations=[1.0]", "seeds=1", "name=x")
    references = (Reference("half", "mixture", other=0.5), Reference("held", "held"))
    told = population.left_out(PopulationConfig(sweep, references=references))
    assert "left out: half, as no agent is trained at correlation 0.5 with seed 0" in told
    assert any(one.startswith("left out: held rho1, held rho0.9, held, as") for one in told)


@pytest.mark.parametrize("command", ["train -m launcher=joblib seed=0,1"])
@pytest.mark.parametrize("others", [True, False])
def test_jobs_side_by_side_need_a_package_and_say_so_first(
    command, others, tmp_path, monkeypatch, capsys
):
    find_spec = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> object:
        if not name.startswith("hydra_plugins."):
            return find_spec(name, package)
        if others:
            return None
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(importlib.util, "find_spec", without)
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    assert "hydra-joblib-launcher, which is not installed: pip install" in capsys.readouterr().err
