/* DCMI for ipmi_sim: Get Power Reading answers the whole number of watts in the file that `loadlib` names as its option.
 * Built by the tests: cc -shared -fPIC -o dcmi.so dcmi.c */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <OpenIPMI/serv.h>
#include <OpenIPMI/mcserv.h>

enum { GROUP = 0xdc, GET_POWER_READING = 0x02, LENGTH = 19 };

static char watts_file[4096];

static void put(unsigned char *at, int bytes, uint32_t value)
{
	for (; bytes--; value >>= 8)
		*at++ = value & 0xff;
}

static void answer(lmc_data_t *mc, msg_t *msg, unsigned char *reply, unsigned int *length, void *data)
{
	unsigned int watts = 0;
	FILE *file;

	(void)mc;
	(void)data;
	memset(reply, 0, LENGTH);
	reply[1] = GROUP;
	*length = 2;
	if (msg->cmd != GET_POWER_READING) {
		reply[0] = 0xc1;
		return;
	}
	if (msg->len != 4 || msg->data[1] != 1) {
		reply[0] = 0xcc;
		return;
	}
	file = fopen(watts_file, "r");
	if (!file || fscanf(file, "%u", &watts) != 1)
		reply[0] = 0xce;
	if (file)
		fclose(file);
	if (reply[0])
		return;
	/* Now, minimum, maximum, average; time; period in ms; measuring. */
	for (int n = 0; n < 4; n++)
		put(reply + 2 + 2 * n, 2, watts);
	put(reply + 14, 4, 1000);
	reply[18] = 0x40;
	*length = LENGTH;
}

int ipmi_sim_module_print_version(sys_data_t *sys, char *options)
{
	(void)sys;
	(void)options;
	return 0;
}

int ipmi_sim_module_init(sys_data_t *sys, const char *options)
{
	(void)sys;
	snprintf(watts_file, sizeof(watts_file), "%s", options ? options : "");
	ipmi_emu_register_group_extension_handler(GROUP, answer, NULL);
	return 0;
}
