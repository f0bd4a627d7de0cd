"""What docker-compose.yml promises, read without a Docker engine."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from worker.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
ONE_SHOT = {"migrate"}
OURS = {"migrate", "worker", "beat", "flower"}

every_service = pytest.mark.parametrize("name", sorted(SERVICES))
each_of_ours = pytest.mark.parametrize("name", sorted(OURS))


@pytest.fixture(scope="module")
def specification() -> jsonschema.Draft201909Validator:
    schema = json.loads((ROOT / "tests/data/compose-spec.json").read_text())
    return jsonschema.Draft201909Validator(schema)


def test_the_file_is_what_the_compose_specification_allows(
    specification: jsonschema.Draft201909Validator,
) -> None:
    assert [error.message for error in specification.iter_errors(COMPOSE)] == []


def test_the_specification_refuses_what_it_doesnt_know(
    specification: jsonschema.Draft201909Validator,
) -> None:
    misspelt = {"services": {"worker": {"image": "lockside", "health_check": {}}}}

    assert not specification.is_valid(misspelt)


def test_the_whole_of_lockside_is_there() -> None:
    assert set(SERVICES) == {"postgres", "valkey", "migrate", "worker", "beat", "flower"}


@every_service
def test_a_service_says_how_it_is_or_runs_once(name: str) -> None:
    service = SERVICES[name]

    assert ("healthcheck" in service) != (name in ONE_SHOT)


@each_of_ours
def test_a_variable_is_a_setting(name: str) -> None:
    ours = [each for each in SERVICES[name]["environment"] if each.startswith("LOCKSIDE_")]

    assert {each.removeprefix("LOCKSIDE_").lower() for each in ours} <= Settings.model_fields.keys()


@every_service
def test_a_service_comes_back_unless_it_runs_once(name: str) -> None:
    expected = "no" if name in ONE_SHOT else "unless-stopped"

    assert SERVICES[name]["restart"] == expected


@every_service
def test_a_published_port_is_on_loopback(name: str) -> None:
    ports = SERVICES[name].get("ports", [])

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def secrets_of(service: dict[str, Any]) -> dict[str, str]:
    environment = service.get("environment", {})
    telling = re.compile(r"PASSWORD|AUTH|SECRET|TOKEN|_URL$")
    return {
        key: value
        for key, value in environment.items()
        if telling.search(key) and not key.endswith("_ARGS")
    }


@every_service
def test_a_secret_is_demanded_from_the_environment(name: str) -> None:
    written_down = {
        key: value
        for key, value in secrets_of(SERVICES[name]).items()
        if not re.search(r"\$\{\w*PASSWORD:\?", value)
    }

    assert written_down == {}


def test_no_address_carries_a_password_of_its_own() -> None:
    text = (ROOT / "docker-compose.yml").read_text()

    assert re.findall(r"://\w*:(?!\$\{)[^@\s]*@", text) == []


def test_the_workers_health_is_a_file_and_not_a_question_over_the_broker() -> None:
    for name in ("worker", "beat"):
        check = " ".join(SERVICES[name]["healthcheck"]["test"])

        assert "LOCKSIDE_HEARTBEAT_FILE" in check
        assert SERVICES[name]["environment"]["LOCKSIDE_HEARTBEAT_FILE"].startswith("/tmp/")


def test_a_stopping_worker_lets_its_work_end() -> None:
    worker = SERVICES["worker"]

    assert worker["environment"]["REMAP_SIGTERM"] == "SIGQUIT"
    assert int(worker["stop_grace_period"].rstrip("s")) > 30


def test_the_worker_does_without_mingle_and_gossip() -> None:
    assert {"--without-mingle", "--without-gossip"} <= set(SERVICES["worker"]["command"])


def test_flower_is_read_only_and_has_a_password() -> None:
    flower = SERVICES["flower"]

    assert "--read-only" in flower["command"]
    assert "LOCKSIDE_FLOWER_PASSWORD:?" in flower["environment"]["FLOWER_BASIC_AUTH"]


def test_messages_outlive_a_restart_of_valkey_and_are_never_evicted() -> None:
    script = SERVICES["valkey"]["command"][-1]

    for line in ("appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"):
        assert line in script


def test_valkey_answers_nobody_without_a_password() -> None:
    assert "user default off" in SERVICES["valkey"]["command"][-1]


def test_postgres_asks_for_a_password_that_never_travels() -> None:
    arguments = SERVICES["postgres"]["environment"]["POSTGRES_INITDB_ARGS"]

    assert "--auth-host=scram-sha-256" in arguments


@each_of_ours
def test_our_processes_can_write_to_memory_alone(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"]
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]


@each_of_ours
def test_nothing_of_ours_starts_before_what_it_needs(name: str) -> None:
    needs = SERVICES[name]["depends_on"]

    assert needs["postgres"] == {"condition": "service_healthy"}
    assert name in ONE_SHOT or needs["migrate"] == {"condition": "service_completed_successfully"}


def test_the_image_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()

    users = [line.split()[1] for line in lines if line.startswith("USER ")]

    assert users == ["10001"]


def test_the_image_takes_only_what_the_lock_names() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()

    assert "--require-hashes -r requirements.txt" in dockerfile
    assert "--no-deps --no-build-isolation ." in dockerfile
