"""botocore as the connector has it: without prose, by what botocore documents, and otherwise as it is."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import botocore.session
import pytest
from botocore.loaders import JSONFileLoader, Loader

from tocsin.connector.aws import PROSE, SERVICES, Aws, FewServices, WithoutProse

DATA = Path(botocore.__file__).parent / "data"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    return Aws()


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.slow
def test_every_service_has_all_its_operations(aws: Aws, service: str) -> None:
    usual = botocore.session.get_session().create_client(service, region_name="eu-west-1")
    client = aws.client(service)
    assert client.meta.service_model.operation_names == usual.meta.service_model.operation_names
    assert client.meta.endpoint_url == usual.meta.endpoint_url


def test_no_prose_is_kept(aws: Aws) -> None:
    model = FewServices(file_loader=WithoutProse()).load_service_model("sqs", "service-2")
    assert not any(f'"{name}":' in json.dumps(model) for name in PROSE)
    usual = Loader().load_service_model("sqs", "service-2")
    assert any(f'"{name}":' in json.dumps(usual) for name in PROSE)


@pytest.mark.parametrize("packed", [False, True])
def test_a_description_is_read_packed_or_not(tmp_path: Path, packed: bool) -> None:
    import gzip

    path, content = tmp_path / "service-2", b'{"metadata": {"documentation": "long", "uid": "x"}}'
    if packed:
        (tmp_path / "service-2.json.gz").write_bytes(gzip.compress(content))
    else:
        (tmp_path / "service-2.json").write_bytes(content)
    assert WithoutProse().load_file(str(path)) == {"metadata": {"uid": "x"}}
    assert WithoutProse().load_file(str(tmp_path / "none")) is None


@pytest.mark.parametrize(("ours", "theirs"), [(WithoutProse, JSONFileLoader), (FewServices, Loader)])
def test_only_what_botocore_documents_is_overridden(ours: type, theirs: type) -> None:
    """A private method may go with any release, and with it the memory that this saves."""
    overridden = [name for name, _ in inspect.getmembers(ours, inspect.isfunction) if name in vars(ours)]
    assert overridden
    assert not [name for name in overridden if name.startswith("_") or not hasattr(theirs, name)]
