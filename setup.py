from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
version = next(
    line.split('"')[1] for line in (here / "batch_scorer/__init__.py").read_text().splitlines() if "__version__" in line
)

setup(
    name="batch-scorer",
    version=version,
    description="Scores the sentiment of millions of reviews and shows which words drove each score, in Parquet",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The batch-scorer authors",
    license_expression="Apache-2.0",
    license_files=["LICENSE"],
    keywords=["sentiment analysis", "text classification", "explainability", "batch scoring", "apache beam", "parquet"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: Science/Research",
        "Natural Language :: English",
        "Operating System :: MacOS :: MacOS X",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3 :: Only",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Topic :: Text Processing :: Linguistic",
        "Typing :: Typed",
    ],
    python_requires=">=3.11",
    packages=find_packages(include=["batch_scorer", "batch_scorer.*"]),
    # File by file rather than `**`: these folders hold code too, and compiled code must stay out of the wheel.
    package_data={
        "batch_scorer": [
            "py.typed",
            "models/imdb/*",
            "samples/*.*",
            "samples/letters/*",
            "report/groups.html",
            "report/layout.html",
            "report/page.css",
            "report/page.html",
            "report/page.js",
            "report/parts.html",
        ]
    },
    # docs/dependencies.md says what each of these is for.
    install_requires=[
        "apache-beam>=2.70",
        "click>=8.1",
        "jsonschema>=4.20",
        "numpy>=2.0",
        "pandas>=2.2",
        "pyarrow>=18.0",
        "rich>=13.0",
        "safetensors>=0.4.3",
        "tensorflow>=2.18",
        "zstandard>=0.18",
    ],
    extras_require={
        "gcp": ["apache-beam[gcp]>=2.70"],
        "aws": ["apache-beam[aws]>=2.70"],
        "xlsx": ["python-calamine>=0.3"],
        "subwords": ["tokenizers>=0.20"],  # for models whose ids are pieces of words
        "report": ["altair>=5.4", "duckdb>=1.3", "jinja2>=3.1", "vl-convert-python>=1.7"],  # workers do without it
        "test": [
            "batch-scorer[report,subwords,xlsx]",
            "apache-beam[gcp,aws]>=2.70",
            "axe-playwright-python>=0.1.5",
            "build>=1.2",
            "hypothesis>=6.100",
            "ipykernel>=6.29",
            "matplotlib>=3.8",
            "moto[server]>=5.0",
            "mypy>=1.11",
            "nbclient>=0.10",
            "playwright>=1.45",
            "polars>=1.10",
            "pyiceberg[pyarrow,sql-sqlite]>=0.12",
            "pyspark>=3.5",
            "pytest>=8.0",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
            "scikit-learn>=1.5",
            "setuptools>=77",
            "sqlglot>=25.0",
        ],
        "train": ["scikit-learn>=1.5"],  # for --preset full
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
    entry_points={"console_scripts": ["batch-scorer = batch_scorer.cli.main:main"]},
)
