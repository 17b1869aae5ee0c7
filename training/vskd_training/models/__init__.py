"""Networks: the student and its encoder, the teacher and its backbones."""
