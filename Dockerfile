# An image with the `approvals` command; its dependencies are those of requirements/run.txt, checked by hash.
FROM python:3.13-slim AS build
WORKDIR /source
COPY requirements/run.txt requirements/build.txt requirements/
RUN python -m venv /opt/approvals \
    && /opt/approvals/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/run.txt \
    && python -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY events events
COPY projections projections
COPY workers workers
COPY approval_ledger approval_ledger
COPY examples examples
RUN /opt/build/bin/python -m hatchling build -t wheel -d /wheel \
    && /opt/approvals/bin/pip install --no-cache-dir --no-deps --no-index /wheel/*.whl

FROM python:3.13-slim
RUN useradd --system --uid 10001 --create-home approvals
COPY --from=build /opt/approvals /opt/approvals
USER approvals
WORKDIR /home/approvals
ENV PATH=/opt/approvals/bin:$PATH PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["approvals"]
CMD ["--help"]
