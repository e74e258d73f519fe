"""Two processes, each with half of a batch, for test_several_gpus.py."""

import multiprocessing
import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from towers import batch, gradients, same_towers

sys.path.append(str(Path(__file__).parents[1]))
from documented import code_blocks

import lelkern


def main(rank):
    dist.init_process_group(
        "gloo",
        init_method=f"file://{Path.cwd()}/rendezvous",
        rank=rank,
        world_size=2,
        timeout=timedelta(minutes=1),  # where the other process has died
    )
    recipe = {}
    (code,) = code_blocks("docs/recipes.md", "Several GPUs without the global matrix")
    exec(code, recipe)
    gather = recipe["gather"]
    x, y, labels = (values.chunk(2)[rank] for values in batch())

    def sum_of_all(z1, z2, temperature):
        ids = torch.arange(len(z1)) + rank * len(z1)
        return lelkern.info_nce(
            z1, z2, gather(z2), temperature, ids=ids, negative_ids=gather(ids), reduction="sum"
        )

    def sup_con_of_all(z1, z2, temperature):
        return lelkern.sup_con(gather(torch.cat([z1, z2])), gather(labels.repeat(2)), temperature)

    losses = {
        "clip": recipe["clip_loss"],
        "simclr": recipe["simclr_loss"],
        "sum": lambda *z: 2 * sum_of_all(*z),
        "sup_con": sup_con_of_all,
    }
    results = {}
    for name, loss_of in losses.items():
        model = same_towers()
        distributed = DistributedDataParallel(model)
        loss = loss_of(*distributed(x, y))
        loss.backward()
        results[name] = loss.item(), gradients(model)
    model = same_towers()
    recipe["clip_loss"](*model(x, y)).backward()
    for parameter in model.parameters():
        dist.all_reduce(parameter.grad)
        parameter.grad /= 2
    results["added up"] = 0.0, gradients(model)
    torch.save(results, f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    # What takes long is imported once, before the second process comes off the first.
    import torch._dynamo  # for DistributedDataParallel

    second = multiprocessing.get_context("fork").Process(target=main, args=(1,), daemon=True)
    second.start()
    main(0)
    second.join()
    sys.exit(second.exitcode)
