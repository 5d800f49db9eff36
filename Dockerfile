# Written without a container engine at hand: never built.
# docker build -t tiny_gpt .
# docker run --user "$(id -u):$(id -g)" -v "$PWD/results:/lab/results" tiny_gpt triangle --seeds 5
FROM python:3.12-slim

WORKDIR /lab
COPY . .
RUN pip install --no-cache-dir --constraint constraints.txt '.[lab,jax]'

# Compiled programs and fonts; any user may write there.
ENV KERAS_BACKEND=jax XDG_CACHE_HOME=/tmp/cache
ENTRYPOINT ["python", "-m", "experiments"]
CMD ["triangle"]
