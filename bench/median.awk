# The median of numbers that blanks divide; sets low and high, too.
function median(list,    n, i, j, v, t)
{
	n = split(list, v, " ")
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j] + 0 < v[j - 1] + 0; j--)
		{ t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
	low = v[1]
	high = v[n]
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}
