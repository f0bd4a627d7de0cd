# One image, several commands: worker, beat, Flower, migrations, the command line.

FROM python:3.11-slim AS build

WORKDIR /src
RUN python -m venv /opt/lockside
ENV PATH=/opt/lockside/bin:$PATH

COPY requirements.txt ./
RUN pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.txt

COPY . .
RUN pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation .


FROM python:3.11-slim

RUN useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin lockside \
    && install --directory --owner=lockside --mode=700 /archive

COPY --from=build /opt/lockside /opt/lockside
ENV PATH=/opt/lockside/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

USER 10001
WORKDIR /tmp
ENTRYPOINT []
CMD ["lockside", "--help"]
