import pytest
from fake_method import STUDY


@pytest.fixture
def study_file(tmp_path, images):
    """The study of the fake method, on the tiny images."""
    path = tmp_path / "fake.toml"
    path.write_text(f'{STUDY}\n[base.data]\nname = "{images}"\n')
    return path
