/* What libsml reads of a file of SML bytes: `CODE SCALED-VALUE UNIT` for every number of every list. */
#include <fcntl.h>
#include <math.h>
#include <sml/sml_file.h>
#include <sml/sml_transport.h>
#include <sml/sml_value.h>
#include <stdio.h>

static void take(unsigned char *bytes, size_t length) {
	sml_file *file = sml_file_parse(bytes + 8, length - 16);
	for (int i = 0; i < file->messages_len; i++) {
		sml_message *message = file->messages[i];
		if (*message->message_body->tag != SML_MESSAGE_GET_LIST_RESPONSE)
			continue;
		sml_get_list_response *body = message->message_body->data;
		for (sml_list *entry = body->val_list; entry; entry = entry->next) {
			if (!entry->value || entry->value->type == SML_TYPE_OCTET_STRING || entry->value->type == SML_TYPE_BOOLEAN)
				continue;
			unsigned char *o = entry->obj_name->str;
			int scaler = entry->scaler ? *entry->scaler : 0;
			printf("%d-%d:%d.%d.%d %.10g %d\n", o[0], o[1], o[2], o[3], o[4],
			       sml_value_to_double(entry->value) * pow(10, scaler), entry->unit ? *entry->unit : 0);
		}
	}
	printf("end\n");
	sml_file_free(file);
}

int main(int argc, char **argv) {
	int fd = open(argv[argc - 1], O_RDONLY);
	unsigned char bytes[16384];
	size_t length;
	while ((length = sml_transport_read(fd, bytes, sizeof bytes)) > 0)
		take(bytes, length);
	return 0;
}
