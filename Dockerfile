# The service as an image: docker build -t serkit . && docker run --rm -p 127.0.0.1:8000:8000 serkit --model fast
# docs/container.md says more; `python docker/check.py` tries it.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build
RUN python -m venv --without-pip /opt/serkit && python -m venv /build/tools
COPY requirements.lock docker/requirements-build.txt ./
RUN /build/tools/bin/pip install --requirement requirements-build.txt
COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /build/tools/bin/pip wheel --no-deps --no-build-isolation --wheel-dir wheels .
RUN /build/tools/bin/pip --python /opt/serkit/bin/python install --constraint requirements.lock "$(echo wheels/serkit-*.whl)[serve,formats]"

FROM python:${PYTHON}
RUN python -m pip uninstall --yes --quiet pip setuptools wheel && useradd --uid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin serkit
COPY --from=build /opt/serkit /opt/serkit
ENV PATH=/opt/serkit/bin:$PATH PYTHONDONTWRITEBYTECODE=1 SERKIT_SERVE_HOST=0.0.0.0 SERKIT_SERVE_PORT=8000
USER 10001:10001
WORKDIR /
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ['SERKIT_SERVE_PORT']), timeout=4); c.request('GET', '/health/ready'); raise SystemExit(c.getresponse().status != 200)"]
ENTRYPOINT ["ser", "serve"]
