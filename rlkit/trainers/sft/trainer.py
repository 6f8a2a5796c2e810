"""Supervised fine-tuning on rows with weights, normalised over the whole optimizer step on all ranks.

TRL's trainer is given examples that are ready (`encoding.py`) and does all but the loss. A step's divisor is known
before its first pass, because transformers collects the micro-batches of a step beforehand; wrong rows that are pushed
down join those micro-batches there, so that one forward pass takes both.

Overridden methods of `trl.SFTTrainer` 1.16, pinned by tests/trainers/sft/test_contract.py: `__init__`,
`_set_signature_columns_if_needed`, `get_batch_samples`, `_get_num_items_in_batch`, `compute_loss`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from trl import SFTTrainer

from rlkit.errors import ConfigError
from rlkit.trainers.sft.collating import OURS, RowCollator, join_rows, leave_out_examples
from rlkit.trainers.sft.pushing import NegativeRows, share_out


class DiverseSFTTrainer(SFTTrainer):
    """`trl.SFTTrainer` on rows that carry weights.

    `args` is a `DiverseSFTConfig`; `train_dataset` holds what `encoding.make_examples` or `pack_examples` gives.

    Raises:
        ConfigError: rows that are packed see each other in this model, or a setting that weights do not go with.
    """

    data_collator: Any
    _signature_columns: list[str] | None

    def __init__(self, *, negatives: NegativeRows | None = None, **kwargs: Any) -> None:
        """Take TRL's arguments, by name, and the rows to push down."""
        args = kwargs["args"]
        args.dataset_kwargs = {"skip_prepare_dataset": True}
        super().__init__(**kwargs)
        parallel = self.accelerator.parallelism_config
        if parallel is not None and parallel.non_data_parallel_size > 1:
            raise ConfigError("Rows with weights are not learnt under tensor, context or sequence parallelism.")
        self.negatives = negatives
        self.data_collator = RowCollator(self.data_collator, args.row_weighting)
        # The loss is normalised here, whatever the model's own could be told.
        self.model_accepts_loss_kwargs = True
        self._packing_is_proven = not args.packing

    def _set_signature_columns_if_needed(self) -> None:
        if self._signature_columns is None:
            self._signature_columns = ["input_ids", "labels", "seq_lengths", "weights", "sampler_logp"]

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list[Any], Any]:
        """Collect the micro-batches of an optimizer step, with the rows to push down and the two divisors (2,)."""
        batches, divisor = super().get_batch_samples(epoch_iterator, num_batches, device)
        if not batches:
            return batches, divisor
        batches = self._leave_out_repeated(batches)
        if self.negatives is None:
            return batches, torch.stack([divisor, torch.zeros_like(divisor)])
        rows = self.negatives.draw(self.state.global_step)
        shares = share_out(rows, self.args.process_index, self.args.world_size, len(batches))
        joined = [
            join_rows(batch, self.data_collator.collate_negatives(share)) if share else batch
            for batch, share in zip(batches, shares, strict=True)
        ]
        pushed = torch.full_like(divisor, self.data_collator.sum_divisors(rows))
        return joined, torch.stack([divisor, pushed])

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Any:
        """Return the divisor of the rows to learn, over all ranks; a collective."""
        if not batch_samples:
            return None
        counted = self._leave_out_repeated(batch_samples)
        total = torch.stack([batch["row_divisors"].sum() for batch in counted]).sum().to(device)
        return self.accelerator.gather(total).sum() if self.args.world_size > 1 else total

    def _leave_out_repeated(self, batches: list[Any]) -> list[Any]:
        """Return a step's micro-batches without the rows that accelerate repeats to give every rank as many.

        They come when an epoch's rows are through; a single process has none. Micro-batch m of rank r is number
        m * ranks + r of the step, in the order of the epoch.
        """
        args, num_rows = self.args, len(self.train_dataset)
        if args.world_size == 1:
            return batches
        num_read = args.train_batch_size * args.world_size
        per_rank = num_rows // num_read if args.dataloader_drop_last else math.ceil(num_rows / num_read)
        num_steps = math.ceil(per_rank / args.gradient_accumulation_steps)
        before = self.state.global_step % num_steps * args.gradient_accumulation_steps * num_read
        starts = (before + at * num_read + args.process_index * args.train_batch_size for at in range(len(batches)))
        return [
            leave_out_examples(batch, max(num_rows - start, 0)) for batch, start in zip(batches, starts, strict=True)
        ]

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss of a micro-batch, in parts of the whole step's.

        Args:
            model: as prepared for training.
            inputs: a micro-batch of `RowCollator`.
            return_outputs: whether the model's outputs are wanted too.
            num_items_in_batch: the step's divisors; None takes this micro-batch's own.
        """
        if not self._packing_is_proven:
            self._prove_packing(model, inputs["input_ids"])
        ours = {key: inputs[key] for key in OURS if key in inputs}
        inputs = {key: value for key, value in inputs.items() if key not in OURS}
        more = {"output_router_logits": True} if self.aux_loss_enabled else {}
        outputs = model(**inputs, **more, use_cache=False, fused_lm_head=True)
        if num_items_in_batch is None:
            own = ours["row_divisors"].sum()
            num_items_in_batch = torch.stack([own, torch.zeros_like(own)])
        loss = self._weigh_rows(outputs, ours, num_items_in_batch)
        if self.model.training:
            # The divisor is that of all ranks, over which gradients are averaged.
            loss = loss * self.accelerator.num_processes
        if self.aux_loss_enabled:
            # A mean of each micro-batch, which transformers leaves to the loss to average.
            loss = loss + self.router_aux_loss_coef * outputs.aux_loss / self.current_gradient_accumulation_steps
        self._measure(outputs, ours, inputs)
        return (loss, outputs) if return_outputs else loss

    def _weigh_rows(self, outputs: Any, ours: dict[str, Any], divisors: torch.Tensor) -> torch.Tensor:
        logps_BT = outputs.log_probs
        losses_BT = -logps_BT
        if self.args.loss_type == "dft":
            # Wu et al., DFT (arXiv 2508.05629), as in TRL.
            losses_BT = losses_BT * logps_BT.exp().detach()
        # A step in which no row weighs anything has a loss of zero, not 0 / 0.
        divisors = torch.where(divisors > 0, divisors, 1.0)
        loss = (ours["row_coefs"][:, 1:] * losses_BT).sum() / divisors[0]
        if self.negatives is None or "push_coefs" not in ours:
            return loss
        coefs_BT = ours["push_coefs"][:, 1:]
        pushes_BT = self.negatives.settings.token_losses(logps_BT, coefs_BT > 0, ours["sampler_logps"])
        return loss + self.negatives.settings.weight * (coefs_BT * pushes_BT).sum() / divisors[1]

    def _measure(self, outputs: Any, ours: dict[str, Any], inputs: dict[str, Any]) -> None:
        """Log means over the tokens of the rows to learn, and of those to push down, of all ranks; a collective."""
        with torch.no_grad():
            is_learnt_BT = ours["row_coefs"][:, 1:] > 0
            is_pushed_BT = ours["push_coefs"][:, 1:] > 0 if "push_coefs" in ours else torch.zeros_like(is_learnt_BT)
            mask = inputs.get("attention_mask")
            num_read = mask.sum() if mask is not None else torch.tensor(inputs["input_ids"].numel())
            sums = torch.stack(
                [
                    is_learnt_BT.sum().double(),
                    -(outputs.log_probs * is_learnt_BT).sum().double(),
                    (outputs.entropy * is_learnt_BT).sum().double(),
                    (outputs.is_top1 * is_learnt_BT).sum().double(),
                    is_pushed_BT.sum().double(),
                    (outputs.log_probs.exp() * is_pushed_BT).sum().double(),
                    num_read.to(is_learnt_BT.device).double(),
                ]
            )
            learnt, nll, entropy, hits, pushed, probability, read = (
                self.accelerator.gather(sums).view(-1, len(sums)).sum(0).tolist()
            )
        mode = "train" if self.model.training else "eval"
        metrics = self._metrics[mode]
        if learnt:
            metrics["nll"].append(nll / learnt)
            metrics["entropy"].append(entropy / learnt)
            metrics["mean_token_accuracy"].append(hits / learnt)
        if pushed:
            metrics["negatives/probability"].append(probability / pushed)
        if mode == "train":
            self._total_train_tokens += int(read)
        metrics["num_tokens"] = [self._total_train_tokens]

    def mean_nlls(self, examples: Sequence[dict[str, Any]]) -> torch.Tensor:
        """Return each row's mean negative log-likelihood a token, nats, (N,) on the CPU; a collective.

        Args:
            examples: of `encoding.make_examples`, unpacked, the same on every rank.
        """
        size, world_size = self.args.train_batch_size, self.args.world_size
        num_each = math.ceil(len(examples) / world_size)
        # Every rank makes as many passes, as ZeRO-3 must; what is looked at twice is cut off below.
        mine = [examples[min(self.args.process_index * num_each + at, len(examples) - 1)] for at in range(num_each)]
        found = [self._mean_nlls_of(mine[start : start + size]) for start in range(0, num_each, size)]
        return self.accelerator.gather(torch.cat(found)).float().cpu()[: len(examples)]

    def _mean_nlls_of(self, examples: Sequence[dict[str, Any]]) -> torch.Tensor:
        is_training = self.model.training
        self.model.eval()
        length = max(len(example["input_ids"]) for example in examples)

        def fill(key: str, value: int) -> torch.Tensor:
            rows = [[*example[key], *[value] * (length - len(example[key]))] for example in examples]
            return torch.tensor(rows, device=self.args.device)

        labels_BT, lengths_B = fill("labels", -100), [len(example["input_ids"]) for example in examples]
        positions_T = torch.arange(length, device=self.args.device)
        mask_BT = (positions_T < torch.tensor(lengths_B, device=self.args.device)[:, None]).long()
        inputs = {"input_ids": fill("input_ids", 0), "attention_mask": mask_BT, "labels": labels_BT}
        with torch.no_grad(), self.compute_loss_context_manager():
            outputs = self.model_wrapped(**inputs, use_cache=False, fused_lm_head=True)
        self.model.train(is_training)
        return -outputs.log_probs.sum(1) / outputs.label_mask.sum(1).clamp(min=1)

    def _prove_packing(self, model: Any, input_ids_BT: torch.Tensor) -> None:
        """Check once that what stands before a packed row does not change what the model makes of it."""
        first, second, device = input_ids_BT[0, :4], input_ids_BT[0, -4:], input_ids_BT.device
        positions = torch.arange(4, device=device)

        def score(ids: torch.Tensor, position_ids: torch.Tensor) -> torch.Tensor:
            with torch.no_grad():
                given = {"input_ids": ids[None], "position_ids": position_ids[None], "labels": ids[None]}
                return model(**given, use_cache=False, fused_lm_head=True).log_probs[0, -3:]

        was_training = self.model.training
        self.model.eval()
        alone = score(second, positions)
        packed = score(torch.cat([first, second]), torch.cat([positions, positions]))
        self.model.train(was_training)
        if not torch.allclose(alone, packed, atol=1e-2 if alone.dtype != torch.float32 else 1e-4):
            raise ConfigError(
                "Packed rows see each other in this model as it is loaded; write packing: false, or load it with "
                "model_init_kwargs: {attn_implementation: flash_attention_2}."
            )
        self._packing_is_proven = True
