"""Files from addresses: asked for, resumed, proven, and never under their names before that.

The only room that opens connections. :mod:`.sources` says where a model is published, and
:mod:`.openai` and :mod:`.hub` which files make it up; :mod:`.client` asks for them, over urllib3,
which is imported only then; :mod:`.transfer` goes on where an earlier answer broke off, into the
:mod:`.stage` within the target's folder; and :mod:`.content` compares what came.
"""
