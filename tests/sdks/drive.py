"""Drives the test server of batches with the providers' own clients, each validating every response strictly.

    drive.py ORIGIN KEY {openai|anthropic|fireworks}

Ends with 0 if the client took everything that the server said; prints what it did.
"""

import json
import sys
import time

origin, key, which = sys.argv[1:]
deadline = time.monotonic() + 60


def wait(look, is_over):
    """Looks until it is over."""
    while True:
        seen = look()
        if is_over(seen):
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)


def question(n):
    return [{"role": "system", "content": "Answer."}, {"role": "user", "content": f"Which mill is number {n} <<q{n}>>?"}]


def drive_openai():
    import openai
    from openai.types.chat import ChatCompletion

    client = openai.OpenAI(base_url=f"{origin}/v1", api_key=key, max_retries=0, _strict_response_validation=True)
    lines = [
        {
            "custom_id": f"q-{n}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": question(n), "max_completion_tokens": 16},
        }
        for n in range(5)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    file = client.files.create(file=("in.jsonl", text.encode()), purpose="batch")
    assert file.purpose == "batch" and file.bytes == len(text.encode()), file
    assert client.files.content(file.id).text == text

    def create(input_file_id=file.id):
        return client.batches.create(
            input_file_id=input_file_id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            metadata={"who": "drive.py"},
        )

    batch = create()
    assert batch.metadata == {"who": "drive.py"} and batch.input_file_id == file.id, batch
    over = ("completed", "failed", "expired", "cancelled")
    done = wait(lambda: client.batches.retrieve(batch.id), lambda batch: batch.status in over)
    assert done.status == "completed" and done.request_counts.completed == 5 and done.error_file_id is None, done
    results = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    assert {result["custom_id"] for result in results} == {line["custom_id"] for line in lines}
    for result in results:
        assert result["error"] is None and result["response"]["status_code"] == 200, result
        completion = ChatCompletion.model_validate(result["response"]["body"], strict=True)
        assert completion.choices[0].message.content, completion

    cancelled = create()
    client.batches.cancel(cancelled.id)
    wait(lambda: client.batches.retrieve(cancelled.id), lambda batch: batch.status == "cancelled")
    # The page is smaller than the list: it is followed to its end.
    assert [batch.id for batch in client.batches.list(limit=1)] == [cancelled.id, batch.id]
    bad = client.files.create(file=("bad.jsonl", b"no json\n"), purpose="batch")
    failed = wait(lambda b=create(bad.id): client.batches.retrieve(b.id), lambda batch: batch.status in over)
    assert failed.status == "failed" and failed.errors.data[0].line == 1, failed
    for refused in (lambda: create("file-none"), lambda: client.batches.retrieve("batch_none")):
        try:
            refused()
            raise AssertionError("it was taken")
        except openai.NotFoundError as error:
            assert error.code, error
    assert client.files.delete(file.id).deleted


def drive_anthropic():
    import anthropic

    client = anthropic.Anthropic(base_url=origin, api_key=key, max_retries=0, _strict_response_validation=True)
    requests = [
        {"custom_id": f"q-{n}", "params": {"model": "m", "max_tokens": 16, "system": "Answer.", "messages": question(n)[1:]}}
        for n in range(5)
    ]
    batch = client.messages.batches.create(requests=requests)
    assert batch.processing_status == "in_progress" and batch.request_counts.processing == 5, batch
    ended = lambda batch: batch.processing_status == "ended"
    done = wait(lambda: client.messages.batches.retrieve(batch.id), ended)
    assert done.request_counts.succeeded == 5 and done.ended_at and done.results_url, done
    results = list(client.messages.batches.results(batch.id))
    assert {result.custom_id for result in results} == {request["custom_id"] for request in requests}
    for result in results:
        assert result.result.type == "succeeded" and result.result.message.content[0].text, result
    cancelled = client.messages.batches.create(requests=requests)
    assert client.messages.batches.cancel(cancelled.id).processing_status == "canceling"
    gone = wait(lambda: client.messages.batches.retrieve(cancelled.id), ended)
    kinds = [result.result.type for result in client.messages.batches.results(cancelled.id)]
    assert gone.cancel_initiated_at and sorted(set(kinds)) == ["canceled", "succeeded"], kinds
    assert kinds.count("canceled") == gone.request_counts.canceled, gone
    assert [batch.id for batch in client.messages.batches.list(limit=1)] == [cancelled.id, batch.id]
    for refused, error in (
        (lambda: client.messages.batches.retrieve("msgbatch_none"), anthropic.NotFoundError),
        (lambda: client.messages.batches.create(requests=[requests[0]] * 2), anthropic.BadRequestError),
    ):
        try:
            refused()
            raise AssertionError("it was taken")
        except error as refusal:
            assert refusal.body["error"]["type"], refusal
    assert client.messages.batches.delete(batch.id).id == batch.id


def drive_fireworks():
    import fireworks

    client = fireworks.Fireworks(
        base_url=origin, account_id="ours", api_key=key, max_retries=0, _strict_response_validation=True
    )
    text = "".join(
        json.dumps({"custom_id": f"q-{n}", "body": {"model": "m", "messages": question(n), "max_tokens": 16, "temperature": 0}})
        + "\n"
        for n in range(5)
    )
    client.datasets.create(dataset_id="in-1", dataset={"user_uploaded": {}, "example_count": "5"})
    client.datasets.upload(dataset_id="in-1", file=("in.jsonl", text.encode()))
    wait(lambda: client.datasets.get(dataset_id="in-1"), lambda dataset: dataset.state == "READY")

    def create(name):
        return client.batch_inference_jobs.create(
            batch_inference_job_id=name,
            model="m",
            input_dataset_id="accounts/ours/datasets/in-1",
            output_dataset_id=f"accounts/ours/datasets/{name}-out",
            inference_parameters={"max_tokens": 16, "temperature": 0},
        )

    job = create("job-1")
    assert job.name == "accounts/ours/batchInferenceJobs/job-1", job
    look = lambda: client.batch_inference_jobs.get(batch_inference_job_id="job-1")
    wait(look, lambda job: job.state == "JOB_STATE_COMPLETED")
    urls = client.datasets.get_download_endpoint(dataset_id="job-1-out").filename_to_signed_urls
    assert sorted(name.rsplit("/", 1)[1] for name in urls) == ["BIJOutputSet.jsonl", "error-data"], urls
    try:
        create("job-1")
        raise AssertionError("it was taken twice")
    except fireworks.ConflictError:
        pass
    create("job-2")
    create("job-3")
    names = [job.name.rsplit("/", 1)[1] for job in client.batch_inference_jobs.list(page_size=2)]
    assert names == ["job-3", "job-2", "job-1"], names
    client.batch_inference_jobs.delete(batch_inference_job_id="job-2")
    state = client.batch_inference_jobs.get(batch_inference_job_id="job-2").state
    assert state == "JOB_STATE_DELETING_CLEANING_UP", state


{"openai": drive_openai, "anthropic": drive_anthropic, "fireworks": drive_fireworks}[which]()
print(f"{which}: its own client took everything")
