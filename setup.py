from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = next(
    line.split('"')[1] for line in (here / "batch_scorer/__init__.py").read_text().splitlines() if "__version__" in line
)

setup(
    name="batch-scorer",
    version=version,
    description="Sentiment and its reasons for millions of reviews: an Apache Beam job that writes Parquet",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["batch_scorer", "batch_scorer.*"]),
    package_data={"batch_scorer": ["models/**/*", "samples/**/*", "py.typed"]},
    # The README says what each of these is for.
    install_requires=[
        "apache-beam>=2.70",
        "click>=8.1",
        "jsonschema>=4.20",
        "numpy>=2.0",
        "pyarrow>=18.0",
        "rich>=13.0",
        "safetensors>=0.4.3",
        "tensorflow>=2.18",
    ],
    extras_require={
        "gcp": ["apache-beam[gcp]>=2.70"],
        "aws": ["apache-beam[aws]>=2.70"],
        "test": [
            "apache-beam[gcp,aws]>=2.70",
            "build>=1.2",
            "duckdb>=1.1",
            "hypothesis>=6.100",
            "matplotlib>=3.8",
            "moto[server]>=5.0",
            "mypy>=1.11",
            "pytest>=8.0",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
            "scikit-learn>=1.5",
            "setuptools>=70.1",
        ],
        "evaluate": ["matplotlib>=3.8"],
        "bench": [
            "matplotlib>=3.8",
            "onnx>=1.17",
            "onnxruntime>=1.19",
            "openvino>=2024.4",
            "scikit-learn>=1.5",
            "torch>=2.4",
        ],
    },
    entry_points={"console_scripts": ["batch-scorer = batch_scorer.cli:main"]},
)
