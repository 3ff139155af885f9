"""The yardstick: litestar decoding a decision request and encoding it again, and nothing else."""

import os

import uvicorn
from litestar import Litestar, get, post

from controlplane.contract import DecisionRequest


@post("/v1/decisions", status_code=200)
async def decide(data: DecisionRequest) -> DecisionRequest:
    return data


@get("/livez")
async def livez() -> dict[str, str]:
    return {"status": "alive"}


if __name__ == "__main__":
    app = Litestar([decide, livez], logging_config=None, openapi_config=None)
    uvicorn.run(app, port=int(os.environ["POINTSMAN_PORT"]), log_config=None, access_log=False)
