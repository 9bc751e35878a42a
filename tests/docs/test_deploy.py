"""Holds deploy/ to the code and its files to each other: settings, ports, paths, graces, versions."""

import json
import re
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest

import tenure
from tenure.cli.server import CLOSE_S, DRAIN_S
from tenure.config import Settings, load
from tenure.http.routes import ROUTES
from tests.docs.pages import DOCS, ROOT
from tests.docs.test_docs import LINK, leads_somewhere, without_code
from tools.reference.settings import settings
from tools.reference.words import ENVIRONMENT

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "tenure"
UNIT = DEPLOY / "systemd" / "tenure.service"
PORT = Settings.model_fields["port"].default
PROMISED_S = 15
"""How long after SIGTERM the process has ended at the latest: docs/how-to/run-a-server.md."""

SURROUNDINGS = {"POSTGRES_PASSWORD": "secret", "TENURE_ADMIN_KEY": "tnr_key", "SITE": "tenure.example.com"}


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests read of a service of the compose file."""

    image: str
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    volumes: tuple[str, ...] = ()
    hostname: str | None = None
    stop_grace_period: str
    restart: str


class Compose(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests read of the compose file."""

    services: dict[str, Service]
    volumes: dict[str, None]

    def hosts(self) -> dict[str, Service]:
        """The services that are hosts of Tenure."""
        return {name: one for name, one in self.services.items() if name.startswith("host-")}


class Chart(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the tests read of Chart.yaml."""

    version: str
    app_version: str


class Values(msgspec.Struct, frozen=True, kw_only=True):
    """What the tests read of values.yaml."""

    config: str
    ingress: dict[str, object]


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """The names that values.schema.json knows."""

    properties: dict[str, "Schema"] = {}


def text(name: str) -> str:
    """A file of deploy/."""
    return (DEPLOY / name).read_text("utf-8")


def files() -> list[Path]:
    """Every file of deploy/."""
    return sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def compose() -> Compose:
    """The compose file."""
    return msgspec.yaml.decode(text("compose/compose.yaml"), type=Compose)


def filled_in(value: str) -> str:
    """A value of the compose file as compose passes it on."""
    return re.sub(r"\$\{(\w+)(?::[-?][^}]*)?\}", lambda found: SURROUNDINGS[found[1]], value)


def pairs(unit: Path) -> list[tuple[str, str]]:
    """The directives of a unit file, in order."""
    lines = unit.read_text("utf-8").splitlines()
    return [
        (key, value)
        for key, sign, value in (line.partition("=") for line in lines if line[:1] != "#")
        if sign
    ]


def seconds(pattern: str, source: str) -> float:
    """The one number that a pattern finds."""
    (found,) = re.findall(pattern, source)
    return float(found)


def test_every_variable_is_one_that_the_server_reads() -> None:
    known = {"TENURE_" + one.name.upper().replace(".", "__") for one in settings()} | set(ENVIRONMENT)
    named = {
        (path.name, name)
        for path in files()
        for name in re.findall(r"\bTENURE_[A-Z0-9_]+[A-Z0-9]", path.read_text())
    }

    assert sorted(f"{file}: {name}" for file, name in named if name not in known) == []


def test_the_server_takes_the_settings_of_the_compose_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in compose().services["host-1"].environment.items():
        monkeypatch.setenv(name, filled_in(value))

    taken = load({"home": tmp_path}, DEPLOY / "compose" / "tenure.toml")

    assert taken.store == "postgres://tenure:secret@postgres:5432/tenure"
    assert (taken.allowed_hosts, taken.insecure_bind) == (("tenure.example.com",), True)


def test_the_server_takes_the_configuration_of_the_chart(tmp_path: Path) -> None:
    values = msgspec.yaml.decode((CHART / "values.yaml").read_bytes(), type=Values)
    (tmp_path / "tenure.toml").write_text(values.config)

    assert load({"home": tmp_path}).limits.live_runs == 256


def test_the_service_manager_sets_what_the_server_takes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    environment = " ".join(value for key, value in pairs(UNIT) if key == "Environment")
    for name, value in re.findall(r"(\w+)=(\S+)", environment):
        monkeypatch.setenv(name, value)

    taken = load({"home": tmp_path})

    assert (taken.host, taken.port, taken.log_json) == ("127.0.0.1", PORT, True)


def test_all_files_name_the_same_port() -> None:
    named = {
        (path.name, port)
        for path in files()
        for port in re.findall(
            r"(?:host-\d|127\.0\.0\.1|\)|%H|EXPOSE |containerPort: |TENURE_PORT=):? ?(\d{4})\b",
            path.read_text(),
        )
    }

    assert {port for _, port in named} == {str(PORT)}
    assert {"Dockerfile", "compose.yaml", "Caddyfile", "deployment.yaml", "tenure.service"} <= {
        file for file, _ in named
    }


def test_the_paths_that_are_watched_are_routes() -> None:
    known = {route.path for route in ROUTES}
    watched = {
        path
        for name in (
            "Dockerfile",
            "compose/compose.yaml",
            "compose/Caddyfile",
            "helm/tenure/templates/deployment.yaml",
        )
        for path in re.findall(r"(?:8321|path:|health_uri|respond) ?(/\w+)", text(name))
    }

    assert watched == {"/healthz", "/readyz", "/metrics"}
    assert watched <= known


class Grace(NamedTuple):
    """How long something waits between SIGTERM and SIGKILL, in seconds."""

    where: str
    seconds: float


def graces() -> list[Grace]:
    """The graces of all files; of the chart's, what is left once `preStop` is over."""
    deployment = (CHART / "templates" / "deployment.yaml").read_text("utf-8")
    pod = seconds(r"terminationGracePeriodSeconds: (\d+)", deployment)
    before = seconds(r'command: \[sleep, "(\d+)"\]', deployment)
    return [
        *(
            Grace(name, seconds(r"^(\d+)s$", one.stop_grace_period))
            for name, one in compose().hosts().items()
        ),
        Grace("tenure.service", seconds(r"TimeoutStopSec=(\d+)", UNIT.read_text("utf-8"))),
        Grace("deployment.yaml", pod - before),
    ]


def test_a_host_has_time_to_drain_wherever_it_runs() -> None:
    assert DRAIN_S + CLOSE_S <= PROMISED_S
    assert [grace for grace in graces() if grace.seconds < PROMISED_S + 5] == []


def test_the_proxy_knows_every_host_and_hosts_differ_in_name_and_home_alone() -> None:
    hosts = compose().hosts()
    (upstreams,) = re.findall(r"reverse_proxy (.+) \{", text("compose/Caddyfile"))
    shared = [msgspec.structs.replace(one, hostname=None, volumes=one.volumes[1:]) for one in hosts.values()]

    assert upstreams.split() == [f"{name}:{PORT}" for name in hosts]
    assert [one.hostname for one in hosts.values()] == list(hosts)
    assert len({one.volumes[0] for one in hosts.values()}) == len(hosts) >= 2
    assert all(one == shared[0] for one in shared)


def test_images_are_pinned_and_ours_is_of_this_version() -> None:
    bases = re.findall(r"^FROM (\S+)", text("Dockerfile"), re.MULTILINE)
    images = [*bases, *(one.image for one in compose().services.values())]
    chart = msgspec.yaml.decode((CHART / "Chart.yaml").read_bytes(), type=Chart)

    assert [image for image in images if not re.search(r":\d", image)] == []
    assert {image for image in images if image.startswith("tenure:")} == {f"tenure:{tenure.__version__}"}
    assert (chart.version, chart.app_version) == (tenure.__version__, tenure.__version__)
    assert not any(":latest" in path.read_text() for path in files())


def test_every_value_of_the_chart_is_used_and_every_used_one_is_there() -> None:
    values = msgspec.yaml.decode((CHART / "values.yaml").read_bytes(), type=dict[str, object])
    schema = msgspec.json.decode((CHART / "values.schema.json").read_bytes(), type=Schema)
    templates = "".join(path.read_text("utf-8") for path in (CHART / "templates").iterdir())

    assert set(re.findall(r"\.Values\.(\w+)", templates)) == set(values)
    assert {name for name in schema.properties if name != "global"} == set(values)


def test_the_chart_lets_streams_through_the_ingress() -> None:
    values = msgspec.yaml.decode((CHART / "values.yaml").read_bytes(), type=Values)
    annotations = json.dumps(values.ingress["annotations"])

    assert '/proxy-buffering": "off"' in annotations
    assert '/proxy-read-timeout": "3600"' in annotations


def test_containers_run_as_the_user_of_the_image_and_own_nothing() -> None:
    deployment = (CHART / "templates" / "deployment.yaml").read_text("utf-8")
    (user,) = re.findall(r"^USER (\d+):\d+", text("Dockerfile"), re.MULTILINE)

    assert f"runAsUser: {user}\n" in deployment
    assert all(
        line in deployment
        for line in (
            "runAsNonRoot: true",
            "readOnlyRootFilesystem: true",
            "drop: [ALL]",
            "enableServiceLinks: false",
        )
    )


def test_the_service_is_confined_and_comes_back_whatever_it_ended_with() -> None:
    told = dict(pairs(UNIT))

    assert (told["Restart"], told["NoNewPrivileges"], told["ProtectSystem"]) == ("always", "yes", "strict")
    assert (told["StateDirectory"], told["KillMode"]) == ("tenure", "mixed")
    assert "RestartPreventExitStatus" not in told


def test_no_file_holds_a_secret() -> None:
    held = [
        (path.name, line)
        for path in files()
        for line in re.findall(r"^(?:POSTGRES_PASSWORD|TENURE_ADMIN_KEY)=.+$", path.read_text(), re.MULTILINE)
    ]

    assert held == []


def test_every_link_of_the_deployment_page_leads_somewhere() -> None:
    page = DEPLOY / "README.md"

    assert [link for link in LINK.findall(without_code(page)) if not leads_somewhere(page, link)] == []


class Crowd(NamedTuple):
    """A row of the table of what people cost."""

    people: float
    events: float
    runs: float
    streams: float
    day: float
    year: float


MAGNITUDES = {"GB": 1e9, "TB": 1e12, "PB": 1e15}


def crowds() -> list[Crowd]:
    """The table of the page on scaling."""
    page = (DOCS / "explanation" / "scaling.md").read_text("utf-8")
    rows = re.findall(
        r"^\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| (.+) \| (.+) \|$", page, re.MULTILINE
    )
    return [Crowd(*(number(cell) for cell in row)) for row in rows]


def number(cell: str) -> float:
    """A figure with its unit."""
    figure, _, unit = cell.partition(" ")
    return float(figure.replace(",", "")) * MAGNITUDES.get(unit, 1)


def test_what_people_cost_is_what_the_assumptions_say() -> None:
    a_day, event_bytes = 20 * 320, 300
    reckoned = [
        Crowd(
            people=n,
            events=n * a_day * 0.1 / 3600,
            runs=n * 20 * 0.1 * 20 / 3600,
            streams=n * 0.2,
            day=n * a_day * event_bytes,
            year=n * a_day * event_bytes * 365,
        )
        for n in (1e3, 1e4, 1e5, 1e6, 1e7)
    ]

    assert [pytest.approx(row, rel=0.02) for row in reckoned] == crowds()
