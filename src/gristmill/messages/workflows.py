"""Messages of workflows."""

from collections.abc import Mapping

from gristmill.messages.model import Message

__all__ = ["MESSAGES"]

MESSAGES: Mapping[str, Message] = {
    "reference_gone": Message(
        "What is needed of the task {task_id} is not kept any more. Run the workflow from its beginning.",
        "所需的任务 {task_id} 的结果已不再保留。请从头运行工作流。",
    ),
    "reference_path_unknown": Message(
        "The result of the task {task_id} has nothing at '{path}'. Correct the path in $previous.",
        "任务 {task_id} 的结果中没有“{path}”。请修正 $previous 中的路径。",
    ),
    "workflow_argument_twice": Message(
        "{kind} was given '{field}' twice: by its place and by its name. Leave one of them out.",
        "{kind} 的“{field}”被给出了两次：一次按位置，一次按名称。请去掉其中之一。",
    ),
    "workflow_arguments_surplus": Message(
        "{kind} was given {count} arguments without a name; its fields are: {known}.",
        "{kind} 收到 {count} 个未命名参数；其字段为：{known}。",
    ),
    "workflow_compensated": Message(
        "What had completed of the workflow {task_id} was undone, so it cannot go on from there. Submit it again.",
        "工作流 {task_id} 已完成的部分已被撤销，无法从中继续。请重新提交。",
    ),
    "workflow_empty": Message(
        "{field} is empty. Put at least one step into it.",
        "{field} 为空。请至少放入一个步骤。",
    ),
    "workflow_in_step": Message(
        "{field} is a task of the kind workflow. Write its chain or its group in that place.",
        "{field} 是 workflow 类型的任务。请在该处直接写出它的 chain 或 group。",
    ),
    "workflow_node_invalid": Message(
        '{field} is {value}, which is no part of a workflow. Use {{"kind": ..., "payload": ...}}, {{"chain": [...]}}, '
        '{{"group": [...]}} or {{"chord": {{"group": [...], "body": ...}}}}.',
        '{field} 的值 {value} 不是工作流的组成部分。请使用 {{"kind": ..., "payload": ...}}、{{"chain": [...]}}、'
        '{{"group": [...]}} 或 {{"chord": {{"group": [...], "body": ...}}}}。',
    ),
    "workflow_not_found": Message(
        "The task {task_id} is no workflow but {kind}. Look at it with GET /api/tasks.",
        "任务 {task_id} 不是工作流，而是 {kind}。请用 GET /api/tasks 查看。",
    ),
    "workflow_part_failed": Message(
        "A part of the workflow did not complete: {kind} {task_id} ({reason}). Mend the cause, then retry the workflow: "
        "what completed is not done again.",
        "工作流的一个部分未完成：{kind} {task_id}（{reason}）。请排除原因后重试工作流：已完成的部分不会重复执行。",
    ),
    "workflow_payload_too_deep": Message(
        "{field} has more than {maximum} lists and objects within each other. Flatten it.",
        "{field} 中列表和对象的嵌套超过 {maximum} 层。请简化其结构。",
    ),
    "workflow_reference_bound": Message(
        "{field} names a task in $result, which is written by us alone. Use $previous, which means the step before.",
        "{field} 在 $result 中指定了任务，而 $result 仅供系统内部使用。请使用表示上一步的 $previous。",
    ),
    "workflow_step_not_completed": Message(
        "Step {step} of the workflow {task_id} has not completed, so there is nothing to go on from. Begin further up.",
        "工作流 {task_id} 的第 {step} 步尚未完成，无法从其后继续。请从更早的步骤开始。",
    ),
    "workflow_step_unknown": Message(
        "{field} is {value}, but the workflow has {count} steps. Choose one of them; 1 is the first.",
        "{field} 的值为 {value}，但工作流只有 {count} 个步骤。请从中选择；1 表示第一步。",
    ),
    "workflow_too_deep": Message(
        "{field} lies deeper than {maximum} chains and groups within each other. Flatten the workflow.",
        "{field} 的嵌套超过 {maximum} 层。请简化工作流的结构。",
    ),
    "workflow_too_large": Message(
        "{field} has {count} steps; {maximum} are the most. Split it.",
        "{field} 有 {count} 个步骤，最多 {maximum} 个。请拆分。",
    ),
    "workflow_without_previous": Message(
        "{field} uses the result of the step before, but there is none before it. Give the value itself.",
        "{field} 引用了上一步的结果，但它之前没有步骤。请直接给出值。",
    ),
}
